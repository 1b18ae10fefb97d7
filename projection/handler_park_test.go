package projection_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

func byStream(e eventstore.Recorded) string { return e.Stream.ID() }

// counter counts the events of each stream, and then fails if fail does.
func counter(fail func(e eventstore.Recorded) error) *projection.Handler[*memory.Tx] {
	return projection.NewHandler("counter", projection.HandlerOptions{Version: 1, Key: byStream}, func(_ context.Context, tx *memory.Tx, e eventstore.Recorded) error {
		n, _ := tx.Get("counts", e.Stream.ID())
		count, _ := n.(int)
		tx.Put("counts", e.Stream.ID(), count+1)
		return fail(e)
	})
}

func counts(sink *memory.Sink, key string) int {
	n, _ := sink.Value("counts", key)
	count, _ := n.(int)
	return count
}

// tried counts how often an event was handled, by its position.
type tried [100]atomic.Int64

// What becomes of a key whose event at position 25 fails, in a window of 40 events of 4 keys.
func TestWhatAHandlersErrorDoesToItsKey(t *testing.T) {
	busyUntil := func(tries int64) func(int64) error {
		return func(n int64) error {
			if n < tries {
				return fmt.Errorf("%w: %w", eventstore.ErrStoreBusy, errMail)
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		fail   func(try int64) error
		parked bool
		most   int64 // tries
	}{
		"an error that stays":         {func(int64) error { return errMail }, true, 9},
		"a permanent error":           {func(int64) error { return fmt.Errorf("%w: %w", subscription.ErrPermanent, errMail) }, true, 6},
		"a panic":                     {func(int64) error { panic(errMail) }, true, 6},
		"an error that passes soon":   {func(n int64) error { return map[bool]error{true: errMail}[n < 5] }, false, 6},
		"a busy store, for a minute":  {busyUntil(15), false, 15},
		"a busy store, for a moment":  {busyUntil(2), false, 2},
		"nothing":                     {func(int64) error { return nil }, false, 1},
		"an error of the ctx of mine": {func(int64) error { return context.DeadlineExceeded }, true, 9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, sink := memory.NewStore(), memory.NewSink()
				for n := range 40 {
					appendTo(t, store, fmt.Sprint(n%4), paid{})
				}
				var tries tried
				handler := counter(func(e eventstore.Recorded) error {
					if n := tries[e.Position].Add(1); e.Position == 25 {
						return c.fail(n)
					}
					return nil
				})
				w := worker(t, store, projection.On(sink, handler))
				w.Window, w.TTL = 0, time.Minute
				began := time.Now()
				defer working(t, w)()
				require.Eventually(t, caughtUp(t, store, sink, projection.Generation{Name: "counter", Version: 1}), 10*time.Minute, time.Millisecond)
				if c.parked {
					require.Less(t, time.Since(began), 2*time.Second, "three tries within two seconds")
				}
				require.LessOrEqual(t, tries[25].Load(), c.most)
				want := 10
				if c.parked {
					want = 6
				}
				require.Equal(t, []int{want, 10, 10, 10}, []int{counts(sink, "0"), counts(sink, "1"), counts(sink, "2"), counts(sink, "3")})
				s, err := projection.StatusOf(t.Context(), store, sink, projection.Generation{Name: "counter", Version: 1})
				require.NoError(t, err)
				if !c.parked {
					require.Empty(t, s.Parked)
					return
				}
				require.Len(t, s.Parked, 1)
				require.Equal(t, "0", s.Parked[0].Key)
				require.EqualValues(t, 25, s.Parked[0].Event.Position)
			})
		})
	}
}

// committing is a sink whose commits find fault with what was written, as a deferred constraint
// does: nobody can name the event.
type committing struct {
	*memory.Sink
	check func(tx *memory.Tx) error
}

func (s committing) Transact(ctx context.Context, of projection.Generation, move projection.Move, apply func(context.Context, *memory.Tx) error) error {
	return s.Sink.Transact(ctx, of, move, func(ctx context.Context, tx *memory.Tx) error {
		if err := apply(ctx, tx); err != nil {
			return err
		}
		return s.check(tx)
	})
}

func TestAnErrorOfTheCommitIsPutDownToTheEventThatCausedIt(t *testing.T) {
	store := memory.NewStore()
	errConstraint := errors.New("a constraint")
	sink := committing{memory.NewSink(), func(tx *memory.Tx) error {
		n, _ := tx.Get("counts", "2")
		if count, _ := n.(int); count > 2 {
			return errConstraint
		}
		return nil
	}}
	for n := range 40 {
		appendTo(t, store, fmt.Sprint(n%4), paid{})
	}
	handler := counter(func(eventstore.Recorded) error { return nil })
	working(t, worker(t, store, projection.On(sink, handler)))
	of := projection.Generation{Name: "counter", Version: 1}
	require.Eventually(t, caughtUp(t, store, sink, of), soon, often)
	s, err := projection.StatusOf(t.Context(), store, sink, of)
	require.NoError(t, err)
	require.Len(t, s.Parked, 1)
	require.Equal(t, "2", s.Parked[0].Key)
	require.EqualValues(t, 11, s.Parked[0].Event.Position)
	require.Equal(t, []int{10, 10, 2, 10}, []int{counts(sink.Sink, "0"), counts(sink.Sink, "1"), counts(sink.Sink, "2"), counts(sink.Sink, "3")})
}

func TestAHandlerStopsAtWhatItCannotPark(t *testing.T) {
	fails := func(eventstore.Recorded) error { return fmt.Errorf("%w: %w", subscription.ErrPermanent, errMail) }
	key := func(k func(eventstore.Recorded) string) *projection.Handler[*memory.Tx] {
		return projection.NewHandler("keyed", projection.HandlerOptions{Version: 1, Key: k}, func(_ context.Context, _ *memory.Tx, e eventstore.Recorded) error { return fails(e) })
	}
	for name, c := range map[string]struct {
		handler *projection.Handler[*memory.Tx]
		most    int
		says    string
	}{
		"it has no key":            {key(nil), 0, "no connection"},
		"its key panics":           {key(func(eventstore.Recorded) string { panic("no such field") }), 0, "no such field"},
		"its key cannot be kept":   {key(func(eventstore.Recorded) string { return "a\x00b" }), 0, "cannot be parked"},
		"nothing may be parked":    {key(byStream), -1, "no connection"},
		"too many are parked":      {key(byStream), 3, "3 keys of segment 0-1023 are parked already"},
		"a hundred is the default": {key(byStream), 0, "100 keys of segment"},
	} {
		t.Run(name, func(t *testing.T) {
			store, sink := memory.NewStore(), memory.NewSink()
			for n := range 120 {
				appendTo(t, store, fmt.Sprint(n), paid{})
			}
			reports := make(chan subscription.Report, 100)
			w := worker(t, store, projection.On(sink, c.handler))
			w.MaxParked = c.most
			w.Hooks.Segment = func(_ projection.Generation, r subscription.Report) { reports <- r }
			working(t, w)
			report := <-reports
			require.Equal(t, subscription.Failed, report.State)
			require.Contains(t, report.Note, c.says)
		})
	}
}
