package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// ErrNotAService says that the URL of a request does not name a service.
var ErrNotAService = errors.New("not the name of a service")

// ErrNoEndpoints says that a service has no endpoints at the moment.
var ErrNoEndpoints = errors.New("no endpoints")

// Transport is an [http.RoundTripper] that sends a request for http://orders/v1/x to an
// endpoint of the service "orders". It is safe for concurrent use. Use [NewClient] for a client
// that is careful with redirects.
//
// Its errors: [ErrNotAService]; [ErrUnknownService] and others of the resolver;
// [ErrNoEndpoints]; [ErrOpen]; [ErrAddressRefused]; [ErrTryTimeout]; and those of the network,
// with the endpoint's name. An answer with a status of 500 and more is an answer and no error,
// the last one if there were several.
type Transport struct {
	resolver Resolver
	options  *TransportOptions

	mu       sync.Mutex
	services map[string]*service
}

// NewTransport returns a transport to what the resolver finds.
func NewTransport(resolver Resolver, options TransportOptions) *Transport {
	return &Transport{resolver: resolver, options: withDefaults(options), services: map[string]*service{}}
}

// RoundTrip sends the request to an endpoint of its service, and to others if it fails there and
// may be repeated.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	name, err := t.serviceOf(r)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	if name == "" {
		return t.options.Others.RoundTrip(r)
	}
	s, err := t.find(r.Context(), name)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	probe, err := s.enter(time.Now())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	ended := result{}
	defer func() { s.leave(probe, ended.verdict, ended.cause) }()
	ended = s.send(r)
	return ended.response, ended.err
}

// serviceOf returns the service that a request is for, "" if it is for another host that
// is allowed.
func (t *Transport) serviceOf(r *http.Request) (string, error) {
	host := strings.ToLower(r.URL.Hostname())
	switch {
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return "", fmt.Errorf("%w: scheme %q", ErrNotAService, r.URL.Scheme)
	case r.URL.User != nil:
		return "", fmt.Errorf("%w: the URL has a user; what stands before an @ is no host", ErrNotAService)
	case r.URL.Port() == "" && t.options.Services(host):
		return host, nil
	case t.options.Others != nil:
		return "", nil
	default:
		return "", fmt.Errorf("%w: %q; see TransportOptions.Others", ErrNotAService, r.URL.Host)
	}
}

// find returns the service with the endpoints that it has now.
func (t *Transport) find(ctx context.Context, name string) (*service, error) {
	endpoints, err := t.resolver.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	s, known := t.services[name]
	if !known && len(endpoints) > 0 {
		s = newService(name, t.options)
		t.services[name] = s
	}
	t.mu.Unlock()
	if s != nil {
		s.update(endpoints)
	}
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("service %s: %w", name, ErrNoEndpoints)
	}
	return s, nil
}

// CloseIdleConnections closes connections that are not used at the moment.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.services {
		s.drain()
	}
}

func (s *service) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.all {
		e.pool.drain()
	}
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}
