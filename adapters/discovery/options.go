package discovery

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// TransportOptions are those of [NewTransport]. The zero value works.
type TransportOptions struct {
	// Addresses says what may be dialled. Default: any but the addresses of this machine and
	// those that no policy allows.
	Addresses AddressPolicy

	// Names looks up endpoints that have a name, when they are dialled. Default: as the
	// system does.
	Names *net.Resolver

	// Services says whether the host of a URL, without port, is a service. Default: it is
	// if it is one label (no dots) that begins with a letter. A host with a port never is one.
	Services func(host string) bool

	// Others gets, unchanged, the requests for hosts that are no services. The policy is not
	// asked for them, unless its dialer does: see [AddressPolicy.Control]. Default: they
	// are refused with [ErrNotAService].
	Others http.RoundTripper

	// Around wraps what sends the tries to an endpoint; it sees each of them, with the
	// endpoint's URL and Host. Signatures belong there, see package lattice. What it sends
	// besides, such as to get a token, must not have the values of the request's context, in
	// which connections are traced.
	Around func(service string, next http.RoundTripper) http.RoundTripper

	// TLS is for endpoints that are https. The name of the certificate is set for each.
	TLS *tls.Config

	// Tries is how many endpoints a request is given to at most. Default: 3.
	Tries int

	// TryTimeout is how long an endpoint may take to begin its answer. It should be below the
	// deadlines of callers: an endpoint that hangs is told from a caller who leaves by it.
	// Default: 10 s.
	TryTimeout time.Duration

	// DialTimeout is how long a connection may take, and again its handshake. Default: 2 s.
	DialTimeout time.Duration

	// Failures is after how many failed tries in a row an endpoint is ejected; it also is when
	// half of its last 64 failed, and at once when it gives no connection. Default: 5.
	Failures int

	// Ejection is for how long, the first time; each time that the probe fails it is twice
	// as long, up to 32 times. Default: 5 s.
	Ejection time.Duration

	// MaxEjected is the share of the endpoints that may be ejected at a time. Default: 2/3.
	MaxEjected float64

	// Open is how long a circuit stays open, the first time; it grows as Ejection does.
	// Default: 1 s.
	Open time.Duration

	// Logger gets ejections, returns and what circuits do. Default: slog.Default().
	Logger *slog.Logger

	dialThrough func(dialing) dialing // tests count by it
}

func withDefaults(o TransportOptions) *TransportOptions {
	if o.Services == nil {
		o.Services = isLabel
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Tries = cmp.Or(o.Tries, 3)
	o.TryTimeout = cmp.Or(o.TryTimeout, 10*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.Failures = cmp.Or(o.Failures, 5)
	o.Ejection = cmp.Or(o.Ejection, 5*time.Second)
	o.MaxEjected = cmp.Or(o.MaxEjected, 2./3)
	o.Open = cmp.Or(o.Open, time.Second)
	return &o
}

func (o *TransportOptions) dial(d dialing) dialing {
	if o.dialThrough == nil {
		return d
	}
	return o.dialThrough(d)
}

// isLabel: a number in any form is not one, so that no address is.
func isLabel(host string) bool {
	if host == "" || len(host) > 63 || host[0] < 'a' || host[0] > 'z' {
		return false
	}
	return strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
