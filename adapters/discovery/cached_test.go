package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// asked is a resolver that counts, and takes as long as it is told.
type asked struct {
	mu    sync.Mutex
	times int
	takes time.Duration
	host  string // of the answer; "": there are no endpoints
	err   error
}

func (a *asked) Resolve(ctx context.Context, _ string) ([]discovery.Endpoint, error) {
	a.mu.Lock()
	a.times++
	takes, host, err := a.takes, a.host, a.err
	a.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil || host == "" {
		return nil, err
	}
	return []discovery.Endpoint{{Host: host}}, nil
}

func (a *asked) set(host string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.host, a.err = host, err
}

func (a *asked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.times
}

var errServfail = errors.New("SERVFAIL")

// cached runs a test of a cache in virtual time; answers says what it gives now, and after how long.
func cached(t *testing.T, next *asked, o discovery.CachedOptions, test func(t *testing.T, answers func() (string, time.Duration))) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := discovery.NewCached(next, o)
		defer c.Close()
		test(t, func() (string, time.Duration) {
			began := time.Now()
			endpoints, err := c.Resolve(t.Context(), "orders")
			took := time.Since(began)
			synctest.Wait()
			switch {
			case err != nil:
				return err.Error(), took
			case len(endpoints) == 0:
				return "none", took
			default:
				return endpoints[0].Host, took
			}
		})
	})
}

func TestAnAnswerIsGoodForItsTimeAndRenewedBeforeItsEnd(t *testing.T) {
	next := &asked{host: "one", takes: 10 * time.Millisecond}
	cached(t, next, discovery.CachedOptions{}, func(t *testing.T, answers func() (string, time.Duration)) {
		host, took := answers()
		assert.Equal(t, "one", host)
		assert.Equal(t, 10*time.Millisecond, took)

		next.set("two", nil)
		time.Sleep(7 * time.Second)
		host, took = answers()
		assert.Equal(t, "one", host)
		assert.Zero(t, took)
		assert.Equal(t, 1, next.count())

		time.Sleep(time.Second) // its last quarter
		host, took = answers()
		assert.Equal(t, "one", host)
		assert.Zero(t, took, "nobody waits")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		host, _ = answers()
		assert.Equal(t, "two", host)
		assert.Equal(t, 2, next.count())

		next.set("three", nil)
		time.Sleep(11 * time.Second) // nobody has asked meanwhile
		host, took = answers()
		assert.Equal(t, "three", host)
		assert.Equal(t, 10*time.Millisecond, took)
	})
}

func TestAStaleAnswerIsGivenWhileTheResolverFailsAndNotForEver(t *testing.T) {
	next := &asked{host: "one"}
	cached(t, next, discovery.CachedOptions{MaxStale: time.Minute}, func(t *testing.T, answers func() (string, time.Duration)) {
		answers()
		next.set("", errServfail)
		next.takes = 5 * time.Second
		time.Sleep(11 * time.Second)
		host, took := answers()
		assert.Equal(t, "one", host)
		assert.Equal(t, 5*time.Second, took, "the first waits for the failure")
		for range 10 {
			time.Sleep(2 * time.Second)
			host, took = answers()
			assert.Equal(t, "one", host)
			assert.Zero(t, took, "the others do not")
		}
		assert.Greater(t, next.count(), 3, "it is asked again and again")
		time.Sleep(time.Minute)
		said, _ := answers()
		assert.Equal(t, "resolve orders: SERVFAIL", said)
		next.set("two", nil)
		time.Sleep(time.Minute)
		host, _ = answers()
		assert.Equal(t, "two", host)
	})
}

func TestWithoutMaxStaleAFailureIsAFailure(t *testing.T) {
	next := &asked{host: "one"}
	cached(t, next, discovery.CachedOptions{MaxStale: -1}, func(t *testing.T, answers func() (string, time.Duration)) {
		answers()
		next.set("", errServfail)
		time.Sleep(9 * time.Second)
		host, _ := answers()
		assert.Equal(t, "one", host, "it is still good")
		time.Sleep(2 * time.Second)
		said, _ := answers()
		assert.Equal(t, "resolve orders: SERVFAIL", said)
	})
}

// That there is nothing is remembered for a second, and takes the place of what there was.
func TestNegativeAnswersAreRememberedShortly(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]struct {
		err  error
		said string
	}{
		"unknown":      {fmt.Errorf("%w: orders", discovery.ErrUnknownService), "unknown service: orders"},
		"no endpoints": {nil, "none"},
		"failure":      {errServfail, "resolve orders: SERVFAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			next := &asked{err: says.err}
			cached(t, next, discovery.CachedOptions{}, func(t *testing.T, answers func() (string, time.Duration)) {
				for range 9 {
					said, _ := answers()
					assert.Equal(t, says.said, said)
					time.Sleep(100 * time.Millisecond)
				}
				assert.Equal(t, 1, next.count())
				next.set("one", nil)
				time.Sleep(200 * time.Millisecond)
				host, _ := answers()
				assert.Equal(t, "one", host)

				next.set("", says.err)
				time.Sleep(11 * time.Second)
				said, _ := answers()
				if errors.Is(says.err, errServfail) {
					assert.Equal(t, "one", said)
				} else {
					assert.Equal(t, says.said, said)
				}
			})
		})
	}
}

func TestOneLookupIsForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &asked{host: "one", takes: time.Second}
		c := discovery.NewCached(next, discovery.CachedOptions{})
		defer c.Close()
		var asking sync.WaitGroup
		for range 30 {
			asking.Go(func() {
				endpoints, err := c.Resolve(t.Context(), "orders")
				assert.NoError(t, err)
				assert.Len(t, endpoints, 1)
				endpoints[0].Host = "mine" // the slice is the caller's
			})
		}
		asking.Wait()
		assert.Equal(t, 1, next.count())
		endpoints, err := c.Resolve(t.Context(), "orders")
		require.NoError(t, err)
		assert.Equal(t, "one", endpoints[0].Host)
	})
}

func TestACallerWhoLeavesTakesNothingAwayFromTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &asked{host: "one", takes: time.Second}
		c := discovery.NewCached(next, discovery.CachedOptions{})
		defer c.Close()
		require.NoError(t, checkLeaver(t, c, next))
	})
}

// The twin looks up with the context of whoever came first.
func TestPlantedBugTheFirstCallersContextIsUsedIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &asked{host: "one", takes: time.Second}
		caught(t, checkLeaver(t, &firstComes{next: next, done: make(chan struct{})}, next))
	})
}

func checkLeaver(t *testing.T, c discovery.Resolver, next *asked) error {
	ctx, leave := context.WithCancelCause(t.Context())
	gone := errors.New("gone home")
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := c.Resolve(ctx, "orders")
		first <- err
	}()
	synctest.Wait()
	go func() {
		_, err := c.Resolve(t.Context(), "orders")
		second <- err
	}()
	synctest.Wait()
	leave(gone)
	if err := <-first; !errors.Is(err, gone) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("who left got %w", err)
	}
	if err := <-second; err != nil {
		return fmt.Errorf("who stayed got %w", err)
	}
	if next.count() != 1 {
		return fmt.Errorf("%d lookups", next.count())
	}
	return nil
}

// firstComes shares a lookup as a careless cache does.
type firstComes struct {
	next  discovery.Resolver
	first atomic.Bool
	done  chan struct{}
	is    []discovery.Endpoint
	err   error
}

func (f *firstComes) Resolve(ctx context.Context, service string) ([]discovery.Endpoint, error) {
	if f.first.CompareAndSwap(false, true) {
		f.is, f.err = f.next.Resolve(ctx, service)
		close(f.done)
	}
	<-f.done
	return f.is, f.err
}

func TestALookupThatHangsEndsAndSoDoesClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &asked{host: "one", takes: time.Hour}
		c := discovery.NewCached(next, discovery.CachedOptions{Timeout: time.Second})
		_, err := c.Resolve(t.Context(), "orders")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Minute)
		waits := make(chan error)
		go func() {
			_, err := c.Resolve(t.Context(), "orders")
			waits <- err
		}()
		synctest.Wait()
		c.Close()
		require.ErrorIs(t, <-waits, context.Canceled)
		_, err = c.Resolve(t.Context(), "orders")
		require.ErrorContains(t, err, "closed")
	})
}
