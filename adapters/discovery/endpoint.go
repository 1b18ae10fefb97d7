package discovery

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Resolver says where a service is. It is safe for concurrent use.
//
// An answer is all endpoints that may be used now, in any order; an endpoint that is not
// among them gets no new requests. No such service is [ErrUnknownService]; a service that
// has no endpoints at the moment is an empty answer and no error. Every other error says that
// it could not be found out. A Transport asks for every request: put [Cached] around a
// resolver that asks somebody else.
type Resolver interface {
	Resolve(ctx context.Context, service string) ([]Endpoint, error)
}

// Endpoint is one place where a service is served. Two that are equal are the same one.
type Endpoint struct {
	// ID names the endpoint in logs and in [Status]. Default: host and port.
	ID string

	// Scheme is "http" or "https". Default: "http".
	Scheme string

	// Host is an IP address or a DNS name, which is looked up when it is dialled.
	Host string

	// Port is that of TCP. Default: 80, or 443 for https.
	Port uint16

	// Authority is what the Host header says, and without its port the name that a
	// certificate must be for. Default: the host if it is a name, with the port if that
	// is not the scheme's; the host of the request if it is an address.
	Authority string

	// Path stands before the path of every request, such as "/prod", a stage of API Gateway.
	Path string

	// Priority and Weight are those of an SRV record (RFC 2782): the lowest priority that has
	// a usable endpoint is used, and within it an endpoint gets requests in proportion to
	// its weight; weight 0 beside others gets next to none. Without any they are equal.
	Priority, Weight uint16

	// Loopback allows that the endpoint is on this machine, whatever the policy says.
	Loopback bool
}

// ErrUnknownService says that the resolver knows no such service.
var ErrUnknownService = errors.New("unknown service")

// address is what is dialled.
func (e Endpoint) address() string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.port()))) }

func (e Endpoint) scheme() string {
	if e.Scheme == "" {
		return "http"
	}
	return e.Scheme
}

func (e Endpoint) port() uint16 {
	switch {
	case e.Port != 0:
		return e.Port
	case e.scheme() == "https":
		return 443
	default:
		return 80
	}
}

func (e Endpoint) id() string {
	if e.ID == "" {
		return e.address()
	}
	return e.ID
}

// authority is the Host header of a request that was made for the host.
func (e Endpoint) authority(host string) string {
	switch {
	case e.Authority != "":
		return e.Authority
	case isAddress(e.Host):
		return host
	case e.port() == Endpoint{Scheme: e.Scheme}.port():
		return e.Host
	default:
		return e.address()
	}
}

// serverName is the name that a certificate must be for.
func (e Endpoint) serverName(service string) string {
	name := e.authority(service)
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return strings.Trim(name, "[]")
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
