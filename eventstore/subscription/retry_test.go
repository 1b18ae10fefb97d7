package subscription_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

var errNet = errors.New("connection reset")

// times fails the first n calls.
func times(n int, err error) func(int) error {
	return func(call int) error {
		if call <= n {
			return err
		}
		return nil
	}
}

func TestAFailureIsTriedAgainWithGrowingPauses(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		fails  int
		calls  int
		pauses time.Duration
		gives  error
	}{
		"one that passes":               {errNet, 2, 3, 600 * time.Millisecond, nil},
		"one that does not":             {errNet, 99, 3, 600 * time.Millisecond, errNet},
		"a busy store is waited for":    {fmt.Errorf("commit: %w", eventstore.ErrStoreBusy), 8, 9, (200 + 400 + 800 + 1600 + 3200 + 3*5000) * time.Millisecond, nil},
		"a permanent one stops at once": {fmt.Errorf("decode: %w", subscription.ErrPermanent), 99, 1, 0, subscription.ErrPermanent},
		"a diverged log stops at once":  {eventstore.ErrDiverged, 99, 1, 0, eventstore.ErrDiverged},
		"a stale one that did not move": {subscription.ErrStale, 99, 3, 600 * time.Millisecond, subscription.ErrStale},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, start := filled(t, 1), time.Now()
				to := &target{before: times(c.fails, c.err)}
				err := catchUp(t.Context(), store, eventstore.Query{}, to, 0)
				assert.Equal(t, c.calls, to.calls)
				assert.Equal(t, c.pauses, time.Since(start))
				if c.gives == nil {
					require.NoError(t, err)
					assert.Equal(t, upTo(1), to.applied())
					return
				}
				require.ErrorIs(t, err, c.gives)
				assert.ErrorContains(t, err, "test: ")
				assert.Empty(t, to.applied())
			})
		})
	}
}

func TestBusyTriesDoNotCountAgainstOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &target{before: func(call int) error {
			switch {
			case call <= 5:
				return eventstore.ErrStoreBusy
			case call <= 7:
				return errNet
			}
			return nil
		}}
		require.NoError(t, catchUp(t.Context(), filled(t, 1), eventstore.Query{}, to, 0))
		assert.Equal(t, 8, to.calls)
	})
}

func TestTheCountStartsAnewAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &target{before: func(call int) error {
			if call%3 != 0 {
				return errNet // twice for each window
			}
			return nil
		}}
		require.NoError(t, catchUp(t.Context(), filled(t, 6), eventstore.Query{}, to, 1))
		assert.Equal(t, upTo(6), to.applied())
	})
}

func TestALostAnswerDoesNotRepeatItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &target{after: func(call int) error {
			if call%2 == 1 {
				return errNet
			}
			return nil
		}}
		require.NoError(t, catchUp(t.Context(), filled(t, 9), eventstore.Query{}, to, 2))
		assert.Equal(t, upTo(9), to.applied())
		assert.Equal(t, 5, to.calls, "no window was handed over twice")
	})
}

func TestAStaleCheckpointIsReadAgainWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, to, start := filled(t, 9), &target{}, time.Now()
		rival := &target{}
		require.NoError(t, catchUp(t.Context(), store, eventstore.Query{}, rival, 4))
		to.before = func(call int) error {
			if call == 1 { // a rival has just applied the first window of its own size
				to.at, to.windows = rival.windows[0].To, rival.windows[:1]
			}
			return nil
		}
		require.NoError(t, catchUp(t.Context(), store, eventstore.Query{}, to, 3))
		assert.Equal(t, upTo(9), to.applied())
		assert.Zero(t, time.Since(start))
	})
}

func TestTwoSubscriptionsOfOneTargetShareTheWork(t *testing.T) {
	store, to := filled(t, 500), &target{}
	errs := make(chan error, 3)
	for range cap(errs) {
		go func() { errs <- catchUp(t.Context(), store, eventstore.Query{}, to, 7) }()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	assert.Equal(t, upTo(500), to.applied())
}

func TestAReaderThatCannotAskForTheHeadIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		reader := log{LogReader: filled(t, 2), head: func(head eventstore.Token) (eventstore.Token, error) {
			asked++
			return head, times(2, errNet)(asked)
		}}
		to := &target{}
		require.NoError(t, catchUp(t.Context(), reader, eventstore.Query{}, to, 0))
		assert.Equal(t, upTo(2), to.applied())

		reader.head = func(head eventstore.Token) (eventstore.Token, error) { return head, errNet }
		require.ErrorIs(t, catchUp(t.Context(), reader, eventstore.Query{}, to, 0), errNet)
	})
}

// A wait that always fails while reads succeed must not be tried for ever.
func TestAWaitThatKeepsFailingStopsTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, to := filled(t, 2), &target{}
		reader := notifying{log{LogReader: store}, deaf{}}
		err := subscription.New("test", reader, eventstore.Query{}, to, subscription.Options{}).Run(t.Context())
		require.ErrorIs(t, err, errNet)
		assert.Equal(t, upTo(2), to.applied())
	})
}

type deaf struct{}

func (deaf) WaitAppended(context.Context, eventstore.Position) error { return errNet }

func TestTheEndOfTheContextEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &target{before: times(99, eventstore.ErrStoreBusy)}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, catchUp(ctx, filled(t, 1), eventstore.Query{}, to, 0), context.DeadlineExceeded)
		assert.Equal(t, 300*time.Millisecond, time.Since(start))
	})
}
