package discovery_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// waits is a handler that says that it has begun, and answers when it may.
func waits(began chan<- struct{}, answer <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case began <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		<-answer
		io.WriteString(w, "answered")
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	one := serve(t, ok)
	transport := newTransport(t, resolves(one.endpoint()), discovery.TransportOptions{})
	for range 20 {
		_, _, err := get(transport, "http://orders/")
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, one.connections.Load())
}

// What is under way at an endpoint that has left is answered, and its connections are closed.
func TestAnEndpointThatHasLeftIsDrained(t *testing.T) {
	t.Parallel()
	began, answer := make(chan struct{}), make(chan struct{})
	leaves, stays := serve(t, waits(began, answer)), serve(t, ok)
	closed := make(chan struct{}, 2)
	named := resolves(leaves.endpoint())
	transport := newTransport(t, named, discovery.DialThrough(discovery.TransportOptions{}, closing(leaves.Listener.Addr().String(), closed)))
	got := make(chan string)
	for range 2 {
		go func() {
			_, text, err := get(transport, "http://orders/")
			got <- fmt.Sprint(text, err)
		}()
		<-began
	}
	named.set(nil, stays.endpoint())
	_, text, err := get(transport, "http://orders/x")
	require.NoError(t, err)
	assert.Equal(t, "GET /x", text)
	require.Len(t, transport.Status()[0].Endpoints, 1)
	close(answer)
	for range 2 {
		assert.Equal(t, "answered<nil>", <-got)
		<-closed
	}
}

// closing says when a connection to the address is closed by us.
func closing(address string, closed chan<- struct{}) func(discovery.Dialing) discovery.Dialing {
	return func(dial discovery.Dialing) discovery.Dialing {
		return func(ctx context.Context, network, to string) (net.Conn, error) {
			conn, err := dial(ctx, network, to)
			if err == nil && to == address {
				conn = &closes{Conn: conn, closed: closed}
			}
			return conn, err
		}
	}
}

type closes struct {
	net.Conn

	once   sync.Once
	closed chan<- struct{}
}

func (c *closes) Close() error {
	c.once.Do(func() { c.closed <- struct{}{} })
	return c.Conn.Close()
}

func TestIdleConnectionsToAnEndpointThatHasLeftAreClosed(t *testing.T) {
	t.Parallel()
	leaves, closed := serve(t, ok), make(chan struct{}, 1)
	named := resolves(leaves.endpoint())
	transport := newTransport(t, named, discovery.DialThrough(discovery.TransportOptions{}, closing(leaves.Listener.Addr().String(), closed)))
	_, _, err := get(transport, "http://orders/")
	require.NoError(t, err)
	named.set(nil, serve(t, ok).endpoint())
	_, _, err = get(transport, "http://orders/")
	require.NoError(t, err)
	<-closed
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The request had been given to the endpoint, and had no connection yet.
func TestAConnectionThatIsMadeAfterItsEndpointHasLeftIsClosed(t *testing.T) {
	t.Parallel()
	leaves, stays, closed := serve(t, ok), serve(t, ok), make(chan struct{}, 1)
	named := resolves(leaves.endpoint())
	chosen, proceed := make(chan struct{}), make(chan struct{})
	options := discovery.TransportOptions{Around: func(_ string, next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Waits") != "" {
				close(chosen)
				<-proceed
			}
			return next.RoundTrip(r)
		})
	}}
	transport := newTransport(t, named, discovery.DialThrough(options, closing(leaves.Listener.Addr().String(), closed)))
	got := make(chan error)
	go func() {
		_, _, err := send(transport, http.MethodGet, "http://orders/", "", "Waits", "yes")
		got <- err
	}()
	<-chosen
	named.set(nil, stays.endpoint())
	_, _, err := get(transport, "http://orders/")
	require.NoError(t, err)
	close(proceed)
	require.NoError(t, <-got)
	<-closed
}

func TestAServiceWithoutEndpointsSaysSo(t *testing.T) {
	t.Parallel()
	named := resolves()
	transport := newTransport(t, named, discovery.TransportOptions{})
	_, _, err := get(transport, "http://orders/")
	require.ErrorIs(t, err, discovery.ErrNoEndpoints)
	named.set(nil, serve(t, ok).endpoint())
	_, _, err = get(transport, "http://orders/")
	require.NoError(t, err)
	named.set(discovery.ErrUnknownService)
	_, _, err = get(transport, "http://orders/")
	require.ErrorIs(t, err, discovery.ErrUnknownService)
}

func TestTheHostHeaderIsThatOfTheEndpoint(t *testing.T) {
	t.Parallel()
	one := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host+" "+r.RequestURI) })
	port := one.endpoint().Port
	here := discovery.AddressPolicy{Loopback: true}
	for _, c := range []struct {
		e      discovery.Endpoint
		target string
		host   string // of the request, if it is not that of the URL
		want   string
	}{
		{discovery.Endpoint{Host: "127.0.0.1"}, "http://orders/v1?a=b", "", "orders /v1?a=b"},
		{discovery.Endpoint{Host: "127.0.0.1"}, "http://ORDERS/v1", "", "ORDERS /v1"},
		{discovery.Endpoint{Host: "127.0.0.1", Authority: "orders.prod"}, "http://orders/v1", "", "orders.prod /v1"},
		{discovery.Endpoint{Host: "lb.test"}, "http://orders/v1", "", fmt.Sprintf("lb.test:%d /v1", port)},
		{discovery.Endpoint{Host: "127.0.0.1"}, "http://orders/v1", "shop.example.com", "shop.example.com /v1"},
		{discovery.Endpoint{Host: "127.0.0.1", Path: "/prod"}, "http://orders/v1/a%2Fb?a=b", "", "orders /prod/v1/a%2Fb?a=b"},
		{discovery.Endpoint{Host: "127.0.0.1", Path: "/a%2Fb"}, "http://orders", "", "orders /a%2Fb"},
	} {
		c.e.Port = port
		transport := newTransport(t, resolves(c.e), discovery.TransportOptions{Addresses: here, Names: names(t, "127.0.0.1")})
		r, err := http.NewRequest(http.MethodGet, c.target, nil)
		require.NoError(t, err)
		if c.host != "" {
			r.Host = c.host
		}
		response, text, err := read(transport.RoundTrip(r))
		require.NoError(t, err)
		assert.Equal(t, c.want, text)
		assert.Same(t, r, response.Request)
	}
}

// An https endpoint is who its authority says, by HTTP/2 if it can; a certificate for somebody
// else is a failure before anything is sent.
func TestTheCertificateMustBeForTheAuthority(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host+" "+r.TLS.ServerName+" "+r.Proto)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = serve(t, ok).Config.ErrorLog
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate()) // for example.com
	e := endpointOf(server.Listener.Addr())
	e.Scheme = "https"
	for authority, fine := range map[string]bool{"example.com": true, "example.org": false, "": false} {
		e.Authority = authority
		transport := newTransport(t, resolves(e), discovery.TransportOptions{TLS: &tls.Config{RootCAs: trusted}})
		_, text, err := send(transport, http.MethodPost, "https://orders/", "x")
		if fine {
			require.NoError(t, err)
			assert.Equal(t, "example.com example.com HTTP/2.0", text)
			continue
		}
		_, is := errors.AsType[*tls.CertificateVerificationError](err)
		require.True(t, is, "%v", err)
	}
}

func TestSwitchingProtocolsWorks(t *testing.T) {
	t.Parallel()
	one := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, both, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		both.Flush()
		line, _ := both.ReadString('\n')
		both.WriteString(strings.ToUpper(line))
		both.Flush()
	})
	transport := newTransport(t, resolves(one.endpoint()), discovery.TransportOptions{})
	r, err := http.NewRequest(http.MethodGet, "http://orders/", nil)
	require.NoError(t, err)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	response, err := transport.RoundTrip(r)
	require.NoError(t, err)
	_, err = io.WriteString(response.Body.(io.ReadWriteCloser), "hello\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HELLO\n", line)
	assert.Equal(t, 1, transport.Status()[0].Endpoints[0].InFlight)
	require.NoError(t, response.Body.Close())
	assert.Zero(t, transport.Status()[0].Endpoints[0].InFlight)
}
