package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// down makes these hosts refuse connections.
func down(names ...string) func(string, *http.Request) (int, error) {
	return func(host string, _ *http.Request) (int, error) {
		if slices.Contains(names, host) {
			return 0, errRefused
		}
		return 200, nil
	}
}

func ejected(transport *discovery.Transport) (names []string) {
	for _, s := range transport.Status() {
		for _, e := range s.Endpoints {
			if !e.Ejected.Until.IsZero() {
				names = append(names, strings.TrimSuffix(e.Address, ":80"))
			}
		}
	}
	return names
}

// ask sends GETs until the condition holds, at most a thousand.
func ask(t *testing.T, transport *discovery.Transport, enough func() bool) {
	for range 1000 {
		if enough() {
			return
		}
		get(transport, "http://orders/")
	}
	require.Fail(t, "a thousand requests did not do it")
}

func TestAnEjectedEndpointReturnsByOneProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		behind := &scripted{does: down("b")}
		transport := newTransport(t, hosts("a", "b", "c"), discovery.TransportOptions{
			Around: behind.around, Ejection: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ask(t, transport, func() bool { return len(ejected(transport)) == 1 })
		status := transport.Status()[0].Endpoints[1]
		assert.Equal(t, time.Now().Add(time.Second), status.Ejected.Until)
		require.ErrorIs(t, status.Ejected.Cause, errRefused)

		// Each failed probe doubles the time, up to 32 times the first.
		for _, pause := range []int{1, 2, 4, 8, 16, 32, 32} {
			behind.taken()
			for range 100 {
				get(transport, "http://orders/")
			}
			assert.NotContains(t, behind.taken(), "b")
			time.Sleep(time.Duration(pause) * time.Second)
			for range 100 {
				get(transport, "http://orders/")
			}
			probes := slices.DeleteFunc(behind.taken(), func(host string) bool { return host != "b" })
			assert.Len(t, probes, 1, "after %d s", pause)
		}

		behind.set(down())
		time.Sleep(time.Hour)
		get(transport, "http://orders/")
		assert.Equal(t, []string{"b"}, behind.taken())
		assert.Empty(t, ejected(transport))
		assert.Contains(t, log.String(), `level=WARN msg="endpoint ejected" service=orders endpoint=b:80 until=`)
		assert.Contains(t, log.String(), `level=INFO msg="endpoint is back" service=orders endpoint=b:80`)
	})
}

func TestOneProbeIsUnderWayAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: down("b")}
		transport := newTransport(t, hosts("a", "b"), discovery.TransportOptions{Around: behind.around, Ejection: time.Second})
		ask(t, transport, func() bool { return len(ejected(transport)) == 1 })
		answer := make(chan struct{})
		behind.set(func(host string, _ *http.Request) (int, error) {
			if host == "b" {
				<-answer
			}
			return 200, nil
		})
		time.Sleep(time.Second)
		behind.taken()
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() { get(transport, "http://orders/") })
		}
		synctest.Wait()
		probes := slices.DeleteFunc(behind.taken(), func(host string) bool { return host != "b" })
		assert.Len(t, probes, 1)
		assert.True(t, transport.Status()[0].Endpoints[1].Ejected.Probing)
		close(answer)
		asking.Wait()
		assert.Empty(t, ejected(transport))
	})
}

// A request that may not be repeated is not risked as a probe, unless no other one comes.
func TestWhatMayNotBeRepeatedDoesNotProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: down("b")}
		transport := newTransport(t, hosts("a", "b"), discovery.TransportOptions{Around: behind.around, Ejection: time.Second})
		ask(t, transport, func() bool { return len(ejected(transport)) == 1 })
		behind.taken()
		time.Sleep(time.Second)
		send(transport, "POST", "http://orders/", "x")
		assert.Equal(t, []string{"a"}, behind.taken())
		time.Sleep(time.Second)
		send(transport, "POST", "http://orders/", "x")
		assert.Equal(t, []string{"b", "a"}, behind.taken())
	})
}

func TestFailuresThatEject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fails  func(n int) (int, error) // the nth try at b
		ejects int                      // the number of the try that ejects; 0: none of 64
	}{
		{"no connection, at once", func(int) (int, error) { return 0, errRefused }, 1},
		{"five resets in a row", func(int) (int, error) { return 0, errReset }, 5},
		{"five times 502", func(int) (int, error) { return 502, nil }, 5},
		{"five times 503 without a word when to come again", func(int) (int, error) { return 503, nil }, 5},
		{"busy, at once", func(int) (int, error) { return busyStatus, nil }, 1},
		{"half of twenty", func(n int) (int, error) { return []int{504, 200}[n%2], nil }, 20},
		{"a third of them", func(n int) (int, error) { return []int{200, 200, 504}[n%3], nil }, 0},
		{"500 is the request's", func(int) (int, error) { return 500, nil }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				behind := &scripted{does: func(host string, _ *http.Request) (int, error) {
					if host != "b" {
						return 200, nil
					}
					tries++
					return c.fails(tries)
				}}
				transport := newTransport(t, hosts("a", "b"), discovery.TransportOptions{Around: behind.around})
				ask(t, transport, func() bool { return tries == 64 || len(ejected(transport)) > 0 })
				if c.ejects == 0 {
					assert.Empty(t, ejected(transport))
				} else {
					assert.Equal(t, c.ejects, tries)
				}
			})
		})
	}
}

// Retry-After is when it is asked again, within the bound of an ejection.
func TestABusyEndpointIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: func(host string, _ *http.Request) (int, error) {
			if host == "b" {
				return busyStatus, nil
			}
			return 200, nil
		}}
		transport := newTransport(t, hosts("a", "b"), discovery.TransportOptions{Around: behind.around})
		ask(t, transport, func() bool { return len(ejected(transport)) == 1 })
		assert.Equal(t, time.Now().Add(7*time.Second), transport.Status()[0].Endpoints[1].Ejected.Until)

		// When there is nobody else, the answer is the caller's, with what it says.
		alone := newTransport(t, hosts("b"), discovery.TransportOptions{Around: behind.around})
		response, _, err := get(alone, "http://orders/")
		require.NoError(t, err)
		assert.Equal(t, 503, response.StatusCode)
		assert.Equal(t, "7", response.Header.Get("Retry-After"))
		assert.Empty(t, ejected(alone))
		assert.Zero(t, alone.Status()[0].Circuit)
	})
}

// A token from the future must not put aside endpoints that answer everybody else.
func TestAQuestionThatIsTooFreshPutsNobodyAside(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Leftfold-After", "Cache-Control"} {
		synctest.Test(t, func(t *testing.T) {
			behind := &scripted{does: func(_ string, r *http.Request) (int, error) {
				if r.Header.Get(header) != "" {
					return busyStatus, nil
				}
				return 200, nil
			}}
			transport := newTransport(t, hosts("a", "b", "c"), discovery.TransportOptions{Around: behind.around})
			for range 50 {
				response, _, err := send(transport, http.MethodGet, "http://orders/", "", header, "max-age=0")
				require.NoError(t, err)
				assert.Equal(t, 503, response.StatusCode)
			}
			assert.Len(t, behind.taken(), 50, "another endpoint is not asked")
			assert.Empty(t, ejected(transport))
		})
	}
}

func TestAThirdOfTheEndpointsStaysInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n, most := range map[int]int{1: 0, 2: 1, 3: 2, 4: 2, 9: 6} {
			names := strings.Split("abcdefghi"[:n], "")
			behind := &scripted{does: down(names...)}
			transport := newTransport(t, hosts(names...), discovery.TransportOptions{Around: behind.around})
			for range 200 {
				get(transport, "http://orders/")
			}
			assert.Len(t, ejected(transport), most, "of %d", n)
		}
	})
}

// When those that are left are all ejected they are all used.
func TestAllEjectedMeansThatAllAreUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: down("b", "c")}
		named := hosts("a", "b", "c")
		transport := newTransport(t, named, discovery.TransportOptions{Around: behind.around, Ejection: time.Hour})
		ask(t, transport, func() bool { return len(ejected(transport)) == 2 })
		named.set(nil, hosts("b", "c").answer...)
		behind.set(down("c"))
		behind.taken()
		ask(t, transport, func() bool { return slices.Contains(behind.taken(), "b") })
	})
}

// A server that answers with some of its records at a time does not make an ejected one new.
func TestAnEjectedEndpointThatLeavesAndReturnsIsStillEjected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: down("b")}
		named := hosts("a", "b", "c")
		transport := newTransport(t, named, discovery.TransportOptions{Around: behind.around, Ejection: time.Hour})
		ask(t, transport, func() bool { return len(ejected(transport)) == 1 })
		named.set(nil, hosts("a", "c").answer...)
		get(transport, "http://orders/")
		behind.set(down()) // a new one would not be ejected
		named.set(nil, hosts("a", "b", "c").answer...)
		get(transport, "http://orders/")
		assert.Equal(t, []string{"b"}, ejected(transport))
	})
}

func TestPrioritiesAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: down()}
		transport := newTransport(t, resolves(
			discovery.Endpoint{Host: "a", Priority: 10}, discovery.Endpoint{Host: "b", Priority: 20}, discovery.Endpoint{Host: "c", Priority: 20},
		), discovery.TransportOptions{Around: behind.around, Ejection: time.Second})
		asked := func() map[string]bool {
			behind.taken()
			for range 50 {
				get(transport, "http://orders/")
			}
			asked := map[string]bool{}
			for _, host := range behind.taken() {
				asked[host] = true
			}
			return asked
		}
		assert.Equal(t, map[string]bool{"a": true}, asked())
		behind.set(down("a"))
		assert.Equal(t, map[string]bool{"a": true, "b": true, "c": true}, asked(), "the first is found dead")
		assert.Equal(t, map[string]bool{"b": true, "c": true}, asked())
		behind.set(down())
		time.Sleep(time.Second)
		assert.Equal(t, map[string]bool{"a": true}, asked(), "it is back, by the first request")
	})
}

func TestTheCircuitOpensAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		behind := &scripted{does: down("a")}
		transport := newTransport(t, hosts("a"), discovery.TransportOptions{Around: behind.around, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for range 20 {
			_, _, err := get(transport, "http://orders/")
			require.ErrorIs(t, err, errRefused)
		}
		for _, seconds := range []int{1, 2, 4, 8, 16, 32, 32} {
			open := time.Duration(seconds) * time.Second
			behind.taken()
			_, _, err := get(transport, "http://orders/")
			require.ErrorIs(t, err, discovery.ErrOpen)
			require.NotErrorIs(t, err, errRefused)
			because, is := errors.AsType[*discovery.OpenError](err)
			require.True(t, is)
			assert.Equal(t, time.Now().Add(open), because.Until)
			assert.Equal(t, because.Until, transport.Status()[0].Circuit.Until)
			require.ErrorIs(t, because.Cause, errRefused)
			assert.Empty(t, behind.taken())
			time.Sleep(open)
			_, _, err = get(transport, "http://orders/")
			require.ErrorIs(t, err, errRefused, "the probe")
		}
		behind.set(down())
		time.Sleep(time.Minute)
		_, _, err := get(transport, "http://orders/")
		require.NoError(t, err)
		assert.Zero(t, transport.Status()[0].Circuit)
		for _, line := range []string{`level=WARN msg="circuit open" service=orders`, `level=WARN msg="circuit stays open"`, `level=INFO msg="circuit closed"`} {
			assert.Contains(t, log.String(), line)
		}
	})
}

// While the probe of a circuit is under way, others are refused; a caller of the probe who leaves
// makes room for the next.
func TestACircuitIsProbedByOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: down("a")}
		transport := newTransport(t, hosts("a"), discovery.TransportOptions{Around: behind.around})
		for range 20 {
			get(transport, "http://orders/")
		}
		time.Sleep(time.Second)
		behind.set(func(_ string, r *http.Request) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		})
		ctx, leave := context.WithCancel(t.Context())
		probe := make(chan error)
		go func() {
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://orders/", nil)
			_, err := transport.RoundTrip(r)
			probe <- err
		}()
		synctest.Wait()
		_, _, err := get(transport, "http://orders/")
		require.ErrorIs(t, err, discovery.ErrOpen)
		leave()
		require.ErrorIs(t, <-probe, context.Canceled)
		behind.set(down())
		_, _, err = get(transport, "http://orders/")
		require.NoError(t, err)
	})
}

// What repeats rescue does not open the circuit.
func TestTheCircuitCountsRequestsAndNotTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: down("a")}
		transport := newTransport(t, hosts("a", "b"), discovery.TransportOptions{Around: behind.around, MaxEjected: 1e-9})
		for n := range 100 {
			_, _, err := get(transport, "http://orders/")
			require.NoError(t, err, fmt.Sprint(n))
		}
		assert.Zero(t, transport.Status()[0].Circuit)
	})
}

// What was sent before an endpoint was ejected says nothing about it any more.
func TestOlderTriesDoNotChangeAnEjection(t *testing.T) {
	t.Parallel()
	for _, late := range []error{errRefused, nil} {
		synctest.Test(t, func(t *testing.T) {
			ends := make(chan error)
			behind := &scripted{does: func(string, *http.Request) (int, error) { return 200, <-ends }}
			named := hosts("b")
			transport := newTransport(t, named, discovery.TransportOptions{Around: behind.around, Ejection: time.Second})
			var asking sync.WaitGroup
			for range 2 {
				asking.Go(func() { send(transport, http.MethodPost, "http://orders/", "x") })
			}
			synctest.Wait()
			named.set(nil, hosts("a", "b", "c", "d").answer...)
			behind.set(down())
			get(transport, "http://orders/")
			ends <- errRefused
			synctest.Wait()
			require.Equal(t, []string{"b"}, ejected(transport))
			until := transport.Status()[0].Endpoints[1].Ejected.Until
			time.Sleep(time.Second / 2)
			ends <- late
			asking.Wait()
			assert.Equal(t, until, transport.Status()[0].Endpoints[1].Ejected.Until)
		})
	}
}
