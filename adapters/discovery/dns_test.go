package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/leftfold/leftfold/adapters/discovery"
)

func resolve(t testing.TB, r discovery.Resolver, service string) ([]discovery.Endpoint, error) {
	endpoints, err := r.Resolve(t.Context(), service)
	slices.SortFunc(endpoints, func(a, b discovery.Endpoint) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return endpoints, err
}

func TestSRVRecordsAreEndpoints(t *testing.T) {
	t.Parallel()
	server := serveNames(t, zone{
		"SRV orders.prod.test.": {
			srv(10, 60, 8080, "one.orders.prod.test."), srv(10, 20, 8081, "two.orders.prod.test."),
			srv(20, 0, 8082, "two.orders.prod.test."), srv(10, 5, 8083, "gone.orders.prod.test."),
		},
		"A one.orders.prod.test.":    a("10.0.0.1"),
		"A two.orders.prod.test.":    a("10.0.0.2"),
		"AAAA two.orders.prod.test.": a("fd12::2"),
		"SRV _http._tcp.pay.test.":   {srv(0, 0, 90, "one.orders.prod.test.")},
		"SRV closed.prod.test.":      {srv(0, 0, 0, ".")},
	}.answer)
	dns := discovery.DNS{Domain: "prod.test", Server: server.address}
	endpoints, err := resolve(t, dns, "orders")
	require.NoError(t, err)
	made := func(id, host string, port, priority, weight uint16) discovery.Endpoint {
		return discovery.Endpoint{ID: id, Scheme: "http", Host: host, Port: port, Authority: "orders.prod.test", Priority: priority, Weight: weight}
	}
	assert.Equal(t, []discovery.Endpoint{
		made("one.orders.prod.test:8080", "10.0.0.1", 8080, 10, 60),
		made("two.orders.prod.test:8081", "10.0.0.2", 8081, 10, 20),
		made("two.orders.prod.test:8081", "fd12::2", 8081, 10, 20),
		made("two.orders.prod.test:8082", "10.0.0.2", 8082, 20, 0),
		made("two.orders.prod.test:8082", "fd12::2", 8082, 20, 0),
	}, endpoints, "a target without an address takes none of the others away")

	endpoints, err = resolve(t, discovery.DNS{Domain: "test.", Prefix: "_http._tcp", Scheme: "https", Server: server.address}, "pay")
	require.NoError(t, err)
	assert.Equal(t, []discovery.Endpoint{{ID: "one.orders.prod.test:90", Scheme: "https", Host: "10.0.0.1", Port: 90, Authority: "pay.test"}}, endpoints)

	endpoints, err = resolve(t, dns, "closed")
	require.NoError(t, err)
	assert.Empty(t, endpoints, "RFC 2782: a target of . says that the service is not there")
}

func TestAddressesAreEndpoints(t *testing.T) {
	t.Parallel()
	server := serveNames(t, zone{
		"A orders.prod.test.":    a("10.0.0.1", "10.0.0.2"),
		"AAAA orders.prod.test.": a("fd12::1", "::ffff:10.0.0.3"),
	}.answer)
	endpoints, err := resolve(t, discovery.DNS{Domain: "prod.test", Port: 8080, Server: server.address}, "orders")
	require.NoError(t, err)
	var hosts []string
	for _, e := range endpoints {
		hosts = append(hosts, e.Host)
		assert.Equal(t, discovery.Endpoint{Scheme: "http", Host: e.Host, Port: 8080, Authority: "orders.prod.test"}, e)
	}
	assert.ElementsMatch(t, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "fd12::1"}, hosts)
}

// What a server does not know is unknown; what it can not say is not.
func TestWhatDNSServersSayWhenTheyDoNotAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says    reply
		unknown bool
	}{
		"NXDOMAIN":   {reply{rcode: dnsmessage.RCodeNameError}, true},
		"no records": {reply{}, true},
		"SERVFAIL":   {reply{rcode: dnsmessage.RCodeServerFailure}, false},
		"REFUSED":    {reply{rcode: dnsmessage.RCodeRefused}, false},
		"silence":    {reply{silent: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serveNames(t, func(dnsmessage.Question, string, int) reply { return c.says })
			timeout := time.Minute
			if c.says.silent {
				timeout = time.Millisecond
			}
			for _, dns := range []discovery.DNS{{Server: server.address, Timeout: timeout}, {Server: server.address, Timeout: timeout, Port: 80}} {
				endpoints, err := dns.Resolve(t.Context(), "orders")
				require.Error(t, err)
				assert.Empty(t, endpoints)
				assert.Equal(t, c.unknown, isUnknown(err), "%v", err)
			}
		})
	}
}

// There are no addresses of one kind, and of the other the server can not say. It is asked for
// that again, so it is said after the other.
func TestWhatIsKnownOfHalfTheAddressesIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, fails := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		server := serveNames(t, func(q dnsmessage.Question, _ string, _ int) reply {
			if q.Type != fails {
				return reply{}
			}
			return reply{rcode: dnsmessage.RCodeServerFailure}
		})
		_, err := discovery.DNS{Server: server.address, Port: 80, Timeout: time.Minute}.Resolve(t.Context(), "orders")
		require.Error(t, err)
		assert.False(t, isUnknown(err), "%v: %v", fails, err)
	}
}

func TestATargetThatNobodyCanTellOfIsNotUnknown(t *testing.T) {
	t.Parallel()
	for _, targets := range [][]dnsmessage.ResourceBody{
		{srv(0, 0, 80, "gone.test."), srv(1, 0, 80, "fails.test.")},
		{srv(0, 0, 80, "fails.test."), srv(1, 0, 80, "gone.test.")},
	} {
		server := serveNames(t, func(q dnsmessage.Question, _ string, _ int) reply {
			switch q.Name.String() {
			case "orders.":
				return reply{records: targets}
			case "gone.test.":
				return reply{rcode: dnsmessage.RCodeNameError}
			default:
				return reply{rcode: dnsmessage.RCodeServerFailure}
			}
		})
		_, err := discovery.DNS{Server: server.address, Timeout: time.Minute}.Resolve(t.Context(), "orders")
		require.Error(t, err)
		assert.False(t, isUnknown(err), "%v", err)
	}
}

// Package net waits for its timeout whatever the caller does; we do not.
func TestACallerWhoLeavesEndsALookup(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	server := serveNames(t, func(dnsmessage.Question, string, int) reply {
		leave()
		return reply{silent: true}
	})
	_, err := discovery.DNS{Server: server.address, Timeout: time.Hour}.Resolve(ctx, "orders")
	require.Error(t, err)
	assert.False(t, isUnknown(err))
}

// An answer that does not fit into a packet is asked for again over TCP.
func TestTruncatedAnswersAreReadWhole(t *testing.T) {
	t.Parallel()
	var many []string
	for n := range 200 {
		many = append(many, fmt.Sprintf("10.0.1.%d", n))
	}
	server := serveNames(t, func(q dnsmessage.Question, network string, _ int) reply {
		switch {
		case q.Type != dnsmessage.TypeA:
			return reply{}
		case network == "udp":
			return reply{truncated: true, records: a(many[:20]...)}
		default:
			return reply{records: a(many...)}
		}
	})
	endpoints, err := resolve(t, discovery.DNS{Server: server.address, Port: 80}, "orders")
	require.NoError(t, err)
	assert.Len(t, endpoints, 200)
	assert.Equal(t, 1, server.count("tcp A orders."))
}

// Answers that rotate are taken as they come: who has left gets nothing, who has come is used.
func TestAnswersThatRotateAreFollowed(t *testing.T) {
	t.Parallel()
	one, two := serve(t, ok), serve(t, ok)
	server := serveNames(t, func(q dnsmessage.Question, _ string, asked int) reply {
		if q.Type != dnsmessage.TypeSRV {
			return zone{"A here.test.": a("127.0.0.1")}.answer(q, "", 0)
		}
		return reply{records: []dnsmessage.ResourceBody{srv(0, 0, []*instance{one, two}[asked%2].endpoint().Port, "here.test.")}}
	})
	dns := discovery.DNS{Domain: "test", Server: server.address}
	transport := newTransport(t, dns, discovery.TransportOptions{Addresses: discovery.AddressPolicy{Loopback: true}})
	for n := range 10 {
		_, _, err := get(transport, "http://orders/")
		require.NoError(t, err)
		assert.Equal(t, int64((n+2)/2), two.requests.Load())
		assert.Equal(t, int64((n+1)/2), one.requests.Load())
	}
}

func isUnknown(err error) bool {
	return errors.Is(err, discovery.ErrUnknownService)
}
