package subscription_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// start runs a subscription and returns what stops it and gives its error.
func start(ctx context.Context, log eventstore.LogReader, to subscription.Target) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- subscription.New("test", log, eventstore.Query{}, to, subscription.Options{}).Run(ctx)
	}()
	return func() error { cancel(); return <-ended }
}

func TestCatchUpEndsAtTheHeadOfItsCall(t *testing.T) {
	store, to := filled(t, 5), &target{}
	to.before = func(int) error { // somebody appends faster than we read
		for range 5 {
			appendTo(t, store, "some")
		}
		return nil
	}
	require.NoError(t, catchUp(t.Context(), store, eventstore.Query{}, to, 2))
	assert.Equal(t, upTo(6), to.applied(), "the window that reaches position 5 ends at 6")
}

func TestCatchUpOfAnEmptyLogAppliesNothing(t *testing.T) {
	store, to := filled(t, 0), &target{}
	require.NoError(t, catchUp(t.Context(), store, eventstore.Query{}, to, 0))
	assert.Equal(t, identityOf(t, store), to.at.Source, "but the checkpoint knows its store")
}

func TestCatchUpReturnsTheErrorOfItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, catchUp(ctx, filled(t, 1), eventstore.Query{}, &target{}, 0), context.Canceled)
}

// A log that ignores its context must not keep the subscription busy.
func TestTheContextIsLookedAtBetweenWindows(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store, to := filled(t, 9), &target{}
	to.after = func(int) error { cancel(); return nil }
	reader := log{LogReader: store, read: func(query eventstore.LogQuery) (*eventstore.LogRead, error) {
		return store.ReadLog(context.WithoutCancel(ctx), query)
	}}
	require.ErrorIs(t, catchUp(ctx, reader, eventstore.Query{}, to, 2), context.Canceled)
	assert.Equal(t, upTo(2), to.applied())
	assert.Equal(t, 1, to.calls, "no second window was handed over")
}

func TestRunIsWokenByAnAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, to := filled(t, 2), &target{}
		stop := start(t.Context(), store, to)
		began := time.Now()
		for n := range 20 {
			synctest.Wait()
			require.Equal(t, upTo(n+2), to.applied())
			appendTo(t, store, "some")
		}
		synctest.Wait()
		assert.Equal(t, upTo(22), to.applied())
		assert.Zero(t, time.Since(began), "nobody waited for a timer")
		assert.NoError(t, stop())
	})
}

func TestRunPollsAStoreThatCannotNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, to := filled(t, 2), &target{}
		asked := 0
		quiet := log{LogReader: store, head: func(head eventstore.Token) (eventstore.Token, error) { asked++; return head, nil }}
		stop := start(t.Context(), quiet, to)

		time.Sleep(10 * time.Second) // of the bubble: nothing happens for long
		synctest.Wait()
		assert.Less(t, asked, 10*25, "it polls slower and slower")
		appendTo(t, store, "some")
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, upTo(3), to.applied())
		assert.NoError(t, stop())
	})
}

func TestRunEndsWithNilWhereverItsContextEnds(t *testing.T) {
	t.Run("before it starts", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.NoError(t, subscription.New("test", filled(t, 1), eventstore.Query{}, &target{}, subscription.Options{}).Run(ctx))
	})
	for name, to := range map[string]*target{
		"while it waits":  {},
		"while it pauses": {before: times(99, eventstore.ErrStoreBusy)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := start(t.Context(), filled(t, 3), to)
				synctest.Wait()
				assert.NoError(t, stop())
			})
		})
	}
}

func TestRunStopsAtALogThatIsRolledBackUnderIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, to := filled(t, 4), &target{}
		as := identityOf(t, store)
		reader := behind(log{LogReader: store})
		ended := make(chan error, 1)
		go func() {
			ended <- subscription.New("test", reader, eventstore.Query{}, to, subscription.Options{}).Run(t.Context())
		}()
		synctest.Wait()
		reader.now.Store(&log{LogReader: filled(t, 6), as: &as})
		require.ErrorIs(t, <-ended, eventstore.ErrDiverged)
		assert.Equal(t, upTo(4), to.applied())
	})
}

// switching is a connection behind which the database changes.
type switching struct{ now atomic.Pointer[log] }

func behind(first log) *switching {
	s := &switching{}
	s.now.Store(&first)
	return s
}

func (s *switching) Head(ctx context.Context) (eventstore.Token, error) {
	return s.now.Load().Head(ctx)
}

func (s *switching) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	return s.now.Load().ReadLog(ctx, query)
}
