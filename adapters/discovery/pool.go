package discovery

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"
)

// pool is the connections to one endpoint. Each endpoint has an http.Transport of its own:
// that is what can be drained alone, and what has its own name for certificates.
type pool struct {
	http.RoundTripper // with what TransportOptions.Around adds

	base *http.Transport
}

// dialing makes a dial; tests look at it there.
type dialing func(context.Context, string, string) (net.Conn, error)

func newPool(service string, e Endpoint, o *TransportOptions) pool {
	policy := o.Addresses
	policy.Loopback = policy.Loopback || e.Loopback
	dialer := &net.Dialer{Timeout: o.DialTimeout, Control: policy.Control, Resolver: o.Names}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		secure = o.TLS.Clone()
	}
	if secure.ServerName == "" {
		secure.ServerName = e.serverName(service)
	}
	base := &http.Transport{
		Proxy:                  nil, // a proxy would dial for us, and ask no policy
		DialContext:            o.dial(dialer.DialContext),
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    o.DialTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	if o.Around == nil {
		return pool{base, base}
	}
	return pool{o.Around(service, base), base}
}

// drain closes the connections: now, or when what is under way there has ended.
func (p pool) drain() {
	if p.base != nil {
		p.base.CloseIdleConnections()
	}
}

// at is the URL of a request at the endpoint.
func (e Endpoint) at(u *url.URL) (*url.URL, error) {
	there := *u
	there.Scheme, there.Host = e.scheme(), e.address()
	if e.Path == "" {
		return &there, nil
	}
	escaped := e.Path + u.EscapedPath()
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, err
	}
	there.Path, there.RawPath = path, escaped
	return &there, nil
}
