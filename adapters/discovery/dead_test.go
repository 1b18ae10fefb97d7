package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// The demand: one dead of three instances gets no more than its dial failures, and none of
// the requests fails.
func TestOneDeadOfThreeInstancesCostsNoRequest(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkOneDies(t, discovery.TransportOptions{}))
}

// The twin never ejects: the dead one is dialled again and again.
func TestPlantedBugNobodyIsEjectedIsFound(t *testing.T) {
	t.Parallel()
	caught(t, checkOneDies(t, discovery.TransportOptions{MaxEjected: 1e-9}))
}

// The twin does not send again elsewhere.
func TestPlantedBugNothingIsRepeatedIsFound(t *testing.T) {
	t.Parallel()
	caught(t, checkOneDies(t, discovery.TransportOptions{Tries: 1}))
}

const (
	callers  = 16
	eachCall = 30 // requests of a caller, a third of them before the death
)

// checkOneDies sends GETs and POSTs to three servers from many callers at once and kills one of
// them, connections and all, when a third of the requests has been sent. No request is on its
// way there at that moment: what may not be repeated would be lost by right.
func checkOneDies(t *testing.T, o discovery.TransportOptions) error {
	three := []*instance{serve(t, ok), serve(t, ok), serve(t, ok)}
	dead := three[1]
	var killed atomic.Bool
	dials := dialCounter{of: dead.Listener.Addr().String(), counts: &killed}
	o.Ejection = time.Hour // no probe: each dial is one too many
	transport := newTransport(t, resolves(three[0].endpoint(), dead.endpoint(), three[2].endpoint()), discovery.DialThrough(o, dials.through))

	var failed atomic.Int64
	round := func(requests int) {
		var calling sync.WaitGroup
		for range callers {
			calling.Go(func() {
				for n := range requests {
					method, body := http.MethodGet, ""
					if n%2 == 1 {
						method, body = http.MethodPost, "once"
					}
					if _, text, err := send(transport, method, "http://orders/v1/x", body); err != nil || text != method+" /v1/x" {
						failed.Add(1)
					}
				}
			})
		}
		calling.Wait()
	}
	round(eachCall / 3)
	before := dead.requests.Load()
	killed.Store(true)
	transport.CloseIdleConnections() // of the others too; the dead one's would be found broken by whom it serves next
	dead.Close()
	round(eachCall * 2 / 3)

	switch served := three[0].requests.Load() + dead.requests.Load() + three[2].requests.Load(); {
	case before == 0:
		return errors.New("the one that was to die was never used")
	case failed.Load() > 0:
		return fmt.Errorf("%d requests failed", failed.Load())
	case served != callers*eachCall:
		return fmt.Errorf("%d requests were served of %d", served, callers*eachCall)
	case dials.failed.Load() == 0 || dials.failed.Load() > callers || dials.made.Load() != dials.failed.Load():
		return fmt.Errorf("the dead one was dialled %d times, %d of them failed; want at most one of each caller", dials.made.Load(), dials.failed.Load())
	}
	return nil
}

// dialCounter counts dials of one address while counts says so.
type dialCounter struct {
	of           string
	counts       *atomic.Bool
	made, failed atomic.Int64
}

func (c *dialCounter) through(dial discovery.Dialing) discovery.Dialing {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if address == c.of && c.counts.Load() {
			c.made.Add(1)
			if err != nil {
				c.failed.Add(1)
			}
		}
		return conn, err
	}
}

// The same, amid traffic that may be repeated: what is under way there is sent again elsewhere.
func TestAnInstanceThatDiesAmidRequestsCostsNone(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	var dead *instance
	dying := make(chan struct{})
	dead = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) < callers {
			ok(w, r)
			return
		}
		<-dying // its listener is closed
		panic(http.ErrAbortHandler)
	})
	go func() {
		for calls.Load() < callers {
			runtime.Gosched()
		}
		dead.Listener.Close()
		close(dying)
	}()
	transport := newTransport(t, resolves(serve(t, ok).endpoint(), dead.endpoint(), serve(t, ok).endpoint()), discovery.TransportOptions{Ejection: time.Hour})
	require.Zero(t, failuresOf(transport, callers, eachCall))
	require.LessOrEqual(t, calls.Load(), int64(2*callers+4), "each caller meets its death once, while five of them have not told")
}

// One that accepts and never answers is given up after the time of a try.
func TestAnInstanceThatHangsCostsNoRequest(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkOneHangs(t, discovery.TransportOptions{}))
}

func TestPlantedBugTheOneThatHangsIsAskedAgainIsFound(t *testing.T) {
	t.Parallel()
	caught(t, checkOneHangs(t, discovery.TransportOptions{MaxEjected: 1e-9}))
}

func checkOneHangs(t *testing.T, o discovery.TransportOptions) error {
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	o.TryTimeout, o.Ejection, o.Failures = 150*time.Millisecond, time.Hour, 2
	transport := newTransport(t, resolves(serve(t, ok).endpoint(), hangs.endpoint(), serve(t, ok).endpoint()), o)
	if failed := failuresOf(transport, 1, 45); failed > 0 {
		return fmt.Errorf("%d requests failed", failed)
	}
	if met := hangs.requests.Load(); met > 2 { // by one caller: nothing under way there keeps it away
		return fmt.Errorf("%d requests were sent to the one that hangs", met)
	}
	return nil
}

// failuresOf sends GETs from many callers at once and returns how many failed.
func failuresOf(transport http.RoundTripper, callers, requests int) int64 {
	var failed atomic.Int64
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for range requests {
				if _, text, err := get(transport, "http://orders/v1/x"); err != nil || text != "GET /v1/x" {
					failed.Add(1)
				}
			}
		})
	}
	calling.Wait()
	return failed.Load()
}
