package discovery

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Static is a resolver whose answers are written down: for server-side discovery, where one
// name stands for all instances (a load balancer, API Gateway, a Service Connect alias, the DNS
// name of a Lattice service), and for tests.
type Static struct{ endpoints map[string][]Endpoint }

// NewStatic returns a resolver of these services, each with the URLs of its endpoints, such
// as "https://api.example.com/prod": scheme, host, port if it is not the scheme's, and a path
// that stands before that of each request. An endpoint on this machine has to say so:
// "localhost", or a loopback address in its usual form.
func NewStatic(services map[string][]string) (Static, error) {
	static := Static{make(map[string][]Endpoint, len(services))}
	for service, urls := range services {
		for _, text := range urls {
			e, err := ParseEndpoint(text)
			if err != nil {
				return Static{}, fmt.Errorf("endpoint of service %q: %w", service, err)
			}
			static.endpoints[service] = append(static.endpoints[service], e)
		}
	}
	return static, nil
}

// Resolve returns the endpoints of the service.
func (s Static) Resolve(_ context.Context, service string) ([]Endpoint, error) {
	endpoints, known := s.endpoints[service]
	if !known {
		return nil, fmt.Errorf("%w: %q is not among the services of the program", ErrUnknownService, service)
	}
	return slices.Clone(endpoints), nil
}

// ParseEndpoint reads the URL of an endpoint, see [NewStatic].
func ParseEndpoint(text string) (Endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Endpoint{}, err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return Endpoint{}, fmt.Errorf("%q: the scheme must be http or https", text)
	case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return Endpoint{}, fmt.Errorf("%q: want scheme, host, port and path, and nothing else", text)
	case strings.Contains(u.Path, ".."):
		return Endpoint{}, fmt.Errorf("%q: a path may not climb", text)
	}
	e := Endpoint{Scheme: u.Scheme, Host: u.Hostname(), Path: strings.TrimRight(u.EscapedPath(), "/"), Authority: u.Host}
	if port := u.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return Endpoint{}, fmt.Errorf("%q: the port must be between 1 and 65535", text)
		}
		e.Port = uint16(number)
	}
	addr, err := netip.ParseAddr(e.Host)
	e.Loopback = e.Host == "localhost" || err == nil && addr.IsLoopback() && !addr.Is4In6()
	return e, nil
}
