package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// A request is for a service; where that is, the transport knows.
func ExampleTransport() {
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "orders has "+r.URL.Path)
	}))
	defer orders.Close()
	found, err := discovery.NewStatic(map[string][]string{"orders": {orders.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport := discovery.NewTransport(found, discovery.TransportOptions{})
	defer transport.CloseIdleConnections()
	client := discovery.NewClient(transport)

	for _, url := range []string{"http://orders/v1/x", "http://169.254.169.254/latest/meta-data"} {
		response, err := client.Get(url)
		if err != nil {
			fmt.Println(errors.Is(err, discovery.ErrNotAService), err)
			continue
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(string(text), err)
	}
	// Output:
	// orders has /v1/x <nil>
	// true Get "http://169.254.169.254/latest/meta-data": not the name of a service: "169.254.169.254"; see TransportOptions.Others
}

// In production the resolver asks somebody, and a cache stands before it.
func ExampleNewCached() {
	found := discovery.NewCached(discovery.DNS{Domain: "prod.internal", Port: 8080, Server: "127.0.0.1:1"}, discovery.CachedOptions{})
	defer found.Close()
	_, err := found.Resolve(context.Background(), "orders")
	fmt.Println(err != nil, errors.Is(err, discovery.ErrUnknownService)) // a server that does not answer says nothing
	// Output:
	// true false
}

// When nothing answers, callers are told at once why and until when.
func ExampleOpenError() {
	found, err := discovery.NewStatic(map[string][]string{"orders": {"http://127.0.0.1:1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport := discovery.NewTransport(found, discovery.TransportOptions{Logger: slog.New(slog.DiscardHandler)})
	client := discovery.NewClient(transport)
	for range 20 {
		_, err = client.Get("http://orders/v1/x")
	}
	fmt.Println("open:", errors.Is(err, discovery.ErrOpen))
	_, err = client.Get("http://orders/v1/x")
	if open, is := errors.AsType[*discovery.OpenError](err); is {
		fmt.Println("open:", open.Service, open.Until.IsZero(), open.Cause)
	}
	fmt.Println(transport.Status()[0].Circuit.Until.IsZero())
	// Output:
	// open: false
	// open: orders false service orders, endpoint 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused
	// false
}

// The policy may stand before any dialer, such as that of webhooks.
func ExampleAddressPolicy() {
	vpc := discovery.AddressPolicy{Only: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for _, address := range []string{"10.1.2.3", "52.1.2.3", "127.0.0.1", "::ffff:169.254.169.254"} {
		fmt.Println(vpc.Check(netip.MustParseAddr(address)))
	}
	dialer := net.Dialer{Control: vpc.Control}
	_, err := dialer.Dial("tcp", "127.0.0.1:80")
	fmt.Println(errors.Is(err, discovery.ErrAddressRefused))
	// Output:
	// <nil>
	// address refused: 52.1.2.3 is outside of the networks of AddressPolicy.Only
	// address refused: 127.0.0.1 is an address of this machine (see AddressPolicy.Loopback)
	// address refused: ::ffff:169.254.169.254 is 169.254.169.254 in the form of an IPv4-mapped address, which is link-local, where metadata and credentials are
	// true
}

func ExampleParseEndpoint() {
	gateway, err := discovery.ParseEndpoint("https://abc.execute-api.eu-west-1.amazonaws.com/prod")
	fmt.Println(gateway.Scheme, gateway.Host, gateway.Path, err)
	_, err = discovery.ParseEndpoint("orders:8080")
	fmt.Println(err)
	// Output:
	// https abc.execute-api.eu-west-1.amazonaws.com /prod <nil>
	// "orders:8080": the scheme must be http or https
}

func ExampleNewClient() {
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://payments/", http.StatusTemporaryRedirect)
	}))
	defer orders.Close()
	found, err := discovery.NewStatic(map[string][]string{"orders": {orders.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport := discovery.NewTransport(found, discovery.TransportOptions{})
	defer transport.CloseIdleConnections()
	_, err = discovery.NewClient(transport).Get("http://orders/")
	fmt.Println(err)
	// Output:
	// Get "http://payments/": redirect refused: from orders to http://payments/
}
