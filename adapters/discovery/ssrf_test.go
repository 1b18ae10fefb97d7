package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// Each attack is made on the transport and on a twin without the defence in question, in which
// the victim must be reached: so the test would see it.

// victim is a server that nobody may reach. Its connections are those of any address, as if
// it were there: the metadata server of a cloud is not on the machine of a test.
type victim struct {
	*instance

	body, authorization atomic.Value
}

func newVictim(t testing.TB) *victim {
	v := &victim{}
	v.instance = serve(t, func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		v.body.Store(string(text))
		v.authorization.Store(r.Header.Get("Authorization"))
	})
	return v
}

// everywhere is a dial without a policy.
func (v *victim) everywhere(discovery.Dialing) discovery.Dialing {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, v.Listener.Addr().String())
	}
}

// reached says whether an attack did what it is for.
func (v *victim) reached(err error) error {
	if n := v.requests.Load(); n > 0 {
		return fmt.Errorf("the victim was reached %d times (%v)", n, err)
	}
	return nil
}

// names asks a name server that says of every name that it has this address, as an attacker's
// does, and as inet_aton does of "2852039166".
func names(t testing.TB, answers ...string) *net.Resolver {
	server := serveNames(t, func(q dnsmessage.Question, _ string, asked int) reply {
		address := answers[min(asked, len(answers))-1]
		if netip.MustParseAddr(address).Is4() != (q.Type == dnsmessage.TypeA) {
			return reply{}
		}
		return reply{records: a(address)}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.address)
	}}
}

func TestEndpointsAtForbiddenAddressesAreNotDialled(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255",
		"::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1", "127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
		"2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662", "metadata.attacker.test",
	} {
		for _, twin := range []bool{false, true} {
			v := newVictim(t)
			o := discovery.TransportOptions{Names: names(t, "169.254.169.254")}
			if twin {
				o = discovery.DialThrough(o, v.everywhere)
			}
			_, _, err := get(newTransport(t, resolves(discovery.Endpoint{Host: host}), o), "http://orders/")
			if twin {
				caught(t, v.reached(err))
				continue
			}
			require.Error(t, err, host)
			if strings.Trim(host, "0123456789.") != "" || net.ParseIP(host) != nil { // package net looks no numbers up, the system's resolver does
				require.ErrorIs(t, err, discovery.ErrAddressRefused, host)
			}
			require.NoError(t, v.reached(err), host)
		}
	}
}

// The name of an endpoint is looked up once by whoever checks it, and again when it is dialled.
func TestANameThatChangesItsAddressIsCheckedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	e := discovery.Endpoint{Host: "rebind.test", Port: v.endpoint().Port}
	attack := func(check bool, o discovery.TransportOptions) error {
		o.Names = names(t, "192.0.2.1", "127.0.0.1")
		if check {
			found, err := o.Names.LookupNetIP(t.Context(), "ip4", "rebind.test.")
			require.NoError(t, err)
			require.NoError(t, discovery.AddressPolicy{}.Check(found[0]), "it looks harmless")
		}
		_, _, err := get(newTransport(t, resolves(e), o), "http://orders/")
		return err
	}
	err := attack(true, discovery.TransportOptions{})
	require.ErrorIs(t, err, discovery.ErrAddressRefused)
	require.NoError(t, v.reached(err))

	// The twin checks the answer of the lookup, and then dials the name.
	caught(t, v.reached(attack(true, discovery.DialThrough(discovery.TransportOptions{}, func(discovery.Dialing) discovery.Dialing {
		return (&net.Dialer{Resolver: names(t, "127.0.0.1")}).DialContext
	}))))
}

func TestURLsThatNameNoServiceAreRefused(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"http://169.254.169.254/latest/meta-data", "http://2852039166/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://169.16689662/",
		"http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/", "http://[fe80::1%25eth0]/", "http://127.1/", "http://0/",
		"http://orders@169.254.169.254/", "http://orders:80@169.254.169.254/", "http://169.254.169.254@orders/", "http://orders:pw@orders/",
		"http://orders%2f@169.254.169.254/", "http://orders:8080/", "http://orders.attacker.test/", "http://orders./", "https://localhost:6379/",
	} {
		v := newVictim(t)
		transport := newTransport(t, resolves(serve(t, ok).endpoint()), discovery.TransportOptions{})
		_, _, err := get(transport, target)
		require.ErrorIs(t, err, discovery.ErrNotAService, target)

		// The twin lets others through.
		others := &http.Transport{DialContext: v.everywhere(nil), DialTLSContext: v.everywhere(nil)}
		t.Cleanup(others.CloseIdleConnections)
		if u, err := url.Parse(target); err == nil && u.User == nil {
			_, _, err := get(newTransport(t, resolves(), discovery.TransportOptions{Others: others}), target)
			caught(t, v.reached(err))
		}
	}
	for _, target := range []string{"ftp://orders/", "file:///etc/passwd", "gopher://orders/"} {
		_, _, err := get(newTransport(t, resolves(), discovery.TransportOptions{Others: http.DefaultTransport}), target)
		require.ErrorIs(t, err, discovery.ErrNotAService, target)
	}
}

// With Others, the policy's Control makes their dialer as careful.
func TestOthersMayHaveThePolicyToo(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	others := &http.Transport{DialContext: (&net.Dialer{Control: discovery.AddressPolicy{}.Control}).DialContext}
	transport := newTransport(t, resolves(), discovery.TransportOptions{Others: others})
	_, _, err := get(transport, v.URL)
	require.ErrorIs(t, err, discovery.ErrAddressRefused)
	require.NoError(t, v.reached(err))
}

func TestRedirectsDoNotLeaveTheService(t *testing.T) {
	t.Parallel()
	for _, location := range []string{
		"http://169.254.169.254/latest/meta-data/iam", "//169.254.169.254/", "http://payments/", "http://payments:80/", "http://orders.attacker.test/",
		"http://orders@payments/", "http://user:pw@orders/", "http://orders:8080/", "ftp://orders/",
	} {
		v := newVictim(t)
		orders := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		attack := func(client *http.Client) error {
			r, err := http.NewRequest(http.MethodPost, "http://orders/v1/pay", strings.NewReader("secret"))
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer secret")
			_, _, err = read(client.Do(r))
			return err
		}
		err := attack(discovery.NewClient(newTransport(t, both(orders, v), discovery.TransportOptions{})))
		require.ErrorIs(t, err, discovery.ErrRedirect, location)
		require.NoError(t, v.reached(err))
		require.EqualValues(t, 1, orders.requests.Load())

		// The twin follows redirects as http.Client does, on a transport that lets others through.
		others := &http.Transport{DialContext: v.everywhere(nil)}
		t.Cleanup(others.CloseIdleConnections)
		err = attack(&http.Client{Transport: newTransport(t, both(orders, v), discovery.TransportOptions{Others: others})})
		if !strings.Contains(location, "@") && !strings.HasPrefix(location, "ftp:") { // the transport refuses these by itself
			caught(t, v.reached(err))
			assert.Equal(t, "secret", v.body.Load(), "and got what was not for it")
		}
	}
}

func TestRedirectsWithinTheServiceAreFollowed(t *testing.T) {
	t.Parallel()
	orders := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/old":
			http.Redirect(w, r, "/new?x=1", http.StatusFound)
		case "/absolute":
			http.Redirect(w, r, "http://"+r.Host+"/new?x=1", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			ok(w, r)
		}
	})
	client := discovery.NewClient(newTransport(t, resolves(orders.endpoint()), discovery.TransportOptions{}))
	for _, path := range []string{"/old", "/absolute"} {
		response, text, err := read(client.Get("http://orders" + path))
		require.NoError(t, err)
		assert.Equal(t, "GET /new?x=1", text)
		assert.Equal(t, "http://orders/new?x=1", response.Request.URL.String())
	}
	_, _, err := read(client.Get("http://orders/loop"))
	require.ErrorIs(t, err, discovery.ErrRedirect)
}

// both has two services.
type pair struct{ orders, payments discovery.Endpoint }

func both(orders *instance, payments *victim) pair {
	return pair{orders.endpoint(), payments.endpoint()}
}

func (p pair) Resolve(_ context.Context, service string) ([]discovery.Endpoint, error) {
	switch service {
	case "orders":
		return []discovery.Endpoint{p.orders}, nil
	case "payments":
		return []discovery.Endpoint{p.payments}, nil
	}
	return nil, discovery.ErrUnknownService
}

// net/http reads the variables once in a process, so the test is one of its own.
func TestProxiesInTheEnvironmentAreNotUsed(t *testing.T) {
	t.Parallel()
	if os.Getenv("HTTP_PROXY") == "" {
		proxy := newVictim(t)
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxiesInTheEnvironmentAreNotUsed$", "-test.v")
		child.Env = append(os.Environ(), "HTTP_PROXY="+proxy.URL)
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		require.EqualValues(t, 1, proxy.requests.Load(), "the twin's")
		return
	}
	direct := serve(t, ok)
	e := discovery.Endpoint{Host: "orders.test", Port: direct.endpoint().Port, Loopback: true}
	o := discovery.TransportOptions{Names: names(t, "127.0.0.1")}
	_, text, err := get(newTransport(t, resolves(e), o), "http://orders/v1/x")
	require.NoError(t, err)
	assert.Equal(t, "GET /v1/x", text)
	require.EqualValues(t, 1, direct.requests.Load())

	// The twin sends the same by the default transport.
	o.Around = func(string, http.RoundTripper) http.RoundTripper { return http.DefaultTransport }
	_, text, err = get(newTransport(t, resolves(e), o), "http://orders/v1/x")
	require.NoError(t, err)
	assert.Empty(t, text, "the proxy's answer")
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestLoopbackIsForThoseWhoSayIt(t *testing.T) {
	t.Parallel()
	here := serve(t, ok)
	port := here.endpoint().Port
	for name, c := range map[string]struct {
		e      discovery.Endpoint
		policy discovery.AddressPolicy
		fine   bool
	}{
		"an instance":                  {discovery.Endpoint{Host: "127.0.0.1", Port: port}, discovery.AddressPolicy{}, false},
		"an instance, allowed":         {discovery.Endpoint{Host: "127.0.0.1", Port: port}, discovery.AddressPolicy{Loopback: true}, true},
		"an endpoint that says so":     {discovery.Endpoint{Host: "127.0.0.1", Port: port, Loopback: true}, discovery.AddressPolicy{}, true},
		"beside networks":              {discovery.Endpoint{Host: "127.0.0.1", Port: port, Loopback: true}, discovery.AddressPolicy{Only: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true},
		"a name that turns out as one": {discovery.Endpoint{Host: "sly.test", Port: port}, discovery.AddressPolicy{}, false},
	} {
		_, _, err := get(newTransport(t, resolves(c.e), discovery.TransportOptions{Addresses: c.policy, Names: names(t, "127.0.0.1")}), "http://orders/")
		assert.Equal(t, c.fine, err == nil, name)
		assert.Equal(t, !c.fine, errors.Is(err, discovery.ErrAddressRefused), name)
	}
	for text, says := range map[string]bool{
		"http://127.0.0.1:1": true, "http://localhost:1": true, "http://[::1]:1": true,
		"http://[::ffff:127.0.0.1]:1": false, "http://127.1:1": false, "http://2130706433:1": false, "http://localhost.attacker.test": false,
	} {
		e, err := discovery.ParseEndpoint(text)
		require.NoError(t, err)
		assert.Equal(t, says, e.Loopback, text)
	}
}

// An https URL is never sent in clear.
func TestEncryptionThatTheURLAsksForIsHad(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	_, _, err := get(newTransport(t, resolves(v.endpoint()), discovery.TransportOptions{}), "https://orders/")
	require.ErrorContains(t, err, "is not https, as the URL asks")
	require.NoError(t, v.reached(err))
}
