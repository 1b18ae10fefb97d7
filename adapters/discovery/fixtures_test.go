package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
)

var quiet = slog.New(slog.DiscardHandler)

// resolver answers what it was given last.
type resolver struct {
	mu     sync.Mutex
	answer []discovery.Endpoint
	err    error
}

func resolves(endpoints ...discovery.Endpoint) *resolver { return &resolver{answer: endpoints} }

func (r *resolver) Resolve(context.Context, string) ([]discovery.Endpoint, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answer, r.err
}

func (r *resolver) set(err error, endpoints ...discovery.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer, r.err = endpoints, err
}

// instance is a real server that counts what it is asked and who connects.
type instance struct {
	*httptest.Server

	requests, connections, open atomic.Int64
}

func serve(t testing.TB, handler http.HandlerFunc) *instance {
	i := &instance{}
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.requests.Add(1)
		handler(w, r)
	}))
	i.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			i.connections.Add(1)
			i.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			i.open.Add(-1)
		}
	}
	i.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelDebug)
	i.Start()
	t.Cleanup(i.Close)
	return i
}

func ok(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, r.Method+" "+r.URL.RequestURI())
}

// endpoint of the server, on this machine.
func (i *instance) endpoint() discovery.Endpoint { return endpointOf(i.Listener.Addr()) }

func endpointOf(addr net.Addr) discovery.Endpoint {
	host, port, _ := net.SplitHostPort(addr.String())
	number, _ := strconv.Atoi(port)
	return discovery.Endpoint{Host: host, Port: uint16(number), Loopback: true}
}

// newTransport returns a transport whose connections are closed at the end of the test.
func newTransport(t testing.TB, r discovery.Resolver, o discovery.TransportOptions) *discovery.Transport {
	if o.Logger == nil {
		o.Logger = quiet
	}
	transport := discovery.NewTransport(r, o)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// send makes a request and reads its answer to the end.
func send(t http.RoundTripper, method, target, body string, headers ...string) (*http.Response, string, error) {
	var content io.Reader
	if body != "" {
		content = bytes.NewBufferString(body)
	}
	r, err := http.NewRequest(method, target, content)
	if err != nil {
		return nil, "", err
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	return read(t.RoundTrip(r))
}

func get(t http.RoundTripper, target string) (*http.Response, string, error) {
	return send(t, http.MethodGet, target, "")
}

func read(response *http.Response, err error) (*http.Response, string, error) {
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}

// scripted stands for what is behind the connections, without any: for virtual time.
type scripted struct {
	mu    sync.Mutex
	tries []string                                        // hosts, in order
	does  func(host string, r *http.Request) (int, error) // a status, or an error
}

var errRefused = errors.New("connection refused")

// around is TransportOptions.Around.
func (s *scripted) around(string, http.RoundTripper) http.RoundTripper { return s }

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	trace.GetConn(r.URL.Host)
	s.mu.Lock()
	s.tries = append(s.tries, r.URL.Hostname())
	does := s.does
	s.mu.Unlock()
	status, err := does(r.URL.Hostname(), r)
	if errors.Is(err, errRefused) {
		return nil, err
	}
	trace.GotConn(httptrace.GotConnInfo{})
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	if status == busyStatus {
		w.Header().Set("Retry-After", "7")
		status = http.StatusServiceUnavailable
	}
	w.WriteHeader(status)
	io.WriteString(w, r.URL.Hostname())
	return w.Result(), nil
}

const busyStatus = -503 // with Retry-After: 7

// taken returns the hosts of the tries since it was last asked.
func (s *scripted) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.tries = nil }()
	return s.tries
}

func (s *scripted) set(does func(host string, r *http.Request) (int, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does = does
}

func hosts(names ...string) *resolver {
	r := &resolver{}
	for _, name := range names {
		r.answer = append(r.answer, discovery.Endpoint{Host: name})
	}
	return r
}

// caught asserts that a check has found a planted bug.
func caught(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err, "the mutant survived")
	t.Logf("caught: %v", err)
}
