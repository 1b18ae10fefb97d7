package projection_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// busyLog is a log while which is read the work goes on: a worker moves the checkpoint after
// every so many events.
type busyLog struct {
	*memory.Store
	every int
	move  func()
}

func (l busyLog) ReadLog(ctx context.Context, q eventstore.LogQuery) (*eventstore.LogRead, error) {
	read, err := l.Store.ReadLog(ctx, q)
	if err != nil {
		return nil, err
	}
	return eventstore.NewLogRead(*read, func(yield func(eventstore.Recorded, error) bool) {
		n := 0
		for e, err := range read.Events() {
			if n++; n%l.every == 0 {
				l.move()
			}
			if !yield(e, err) {
				return
			}
		}
	}), nil
}

// A key that was parked long ago has a long history, and the checkpoint moves while it is read.
func TestARetryOfALongHistoryEnds(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := fragile(false)
	w := worker(t, store, projection.Into(sink, view))
	w.Window = 1000
	stop := working(t, w)
	appendTo(t, store, "bad", paid{Cents: -1})
	for range 400 {
		appendTo(t, store, "bad", paid{Cents: 1})
		appendTo(t, store, "good", paid{Cents: 1})
	}
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	stop()
	moves := 0
	log := busyLog{store, 50, func() {
		moves++
		appendTo(t, store, "bad", paid{Cents: 1})
		require.NoError(t, runner(t, store, projection.Into(sink, view)).CatchUp(t.Context()))
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, projection.Retry(ctx, log, events(t), projection.Into(sink, fragile(true)), "bad"))
	require.NotZero(t, moves)
	row, err := projection.NewReader(sink, view).Get(t.Context(), "bad")
	require.NoError(t, err)
	require.EqualValues(t, 399+moves, row.Cents)
}

func TestARetryRefusesAnotherDefinitionAndAnotherLog(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := fragile(false)
	stop := working(t, worker(t, store, projection.Into(sink, view)))
	appendTo(t, store, "bad", paid{Cents: -1}, paid{Cents: 2}, paid{Cents: 4})
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	stop()
	other := projection.NewView("fragile", projection.ViewOptions{Version: 1, Indexes: []string{"cents"}}, projection.When(pay))
	require.ErrorIs(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, other), "bad"), projection.ErrDefinitionChanged)
	require.ErrorIs(t, projection.Retry(t.Context(), shortLog{store}, events(t), projection.Into(sink, fragile(true)), "bad"), eventstore.ErrDiverged)
	require.NoError(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, fragile(true)), "bad"))
}

// shortLog has lost its last event.
type shortLog struct{ *memory.Store }

func (l shortLog) ReadLog(ctx context.Context, q eventstore.LogQuery) (*eventstore.LogRead, error) {
	q.Through = min(q.Through, headOfLog(l.Store)-1)
	return l.Store.ReadLog(ctx, q)
}

func headOfLog(store *memory.Store) eventstore.Position {
	head, _ := store.Head(context.Background())
	return head.Position
}

// A view is mended by a key function that leaves the event out.
func TestARetryMayFindThatTheEventDoesNotTouchTheKeyAnyMore(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	byPayee := func(mended bool) *projection.View[account] {
		return projection.NewView("by_payee", projection.ViewOptions{Version: 1}, projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string {
			if mended && e.Cents < 0 {
				return ""
			}
			return e.To
		}, func(a *account, e paid, _ eventstore.Recorded) {
			if e.Cents < 0 {
				panic("a negative payment")
			}
			a.Cents += e.Cents
		}))
	}
	view := byPayee(false)
	working(t, worker(t, store, projection.Into(sink, view)))
	appendTo(t, store, "a", paid{To: "x", Cents: 1}, paid{To: "x", Cents: -1}, paid{To: "y", Cents: 5}, paid{To: "x", Cents: 2})
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	require.NoError(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, byPayee(true)), "x"))
	row, err := projection.NewReader(sink, view).Get(t.Context(), "x")
	require.NoError(t, err)
	require.EqualValues(t, 3, row.Cents)
}

// What cannot be a key in every sink is none: nothing could be parked under it.
func TestAKeyThatIsNoTextStopsItsSegment(t *testing.T) {
	for _, key := range []string{"a\x00b", "a\xffb"} {
		store, sink := memory.NewStore(), memory.NewSink()
		view := projection.NewView("by_payee", projection.ViewOptions{Version: 1},
			projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string { return key }, pay))
		appendTo(t, store, "a", paid{Cents: 1})
		reports := make(chan subscription.Report, 100)
		w := worker(t, store, projection.Into(sink, view))
		w.Hooks.Segment = func(_ projection.Generation, r subscription.Report) { reports <- r }
		working(t, w)
		select {
		case report := <-reports:
			require.Equal(t, subscription.Failed, report.State)
			require.Contains(t, report.Note, fmt.Sprintf("key %q", key))
		case <-time.After(soon):
			t.Fatal("it was taken")
		}
		require.ErrorContains(t, runner(t, store, projection.Into(sink, view)).CatchUp(t.Context()), "position 1")
	}
}

// A row that cannot be stored since an early event of a large window: it is found out at once
// which one, and counts as one key.
func TestTheEventIsFoundSinceWhichARowCannotBeStored(t *testing.T) {
	const n = 500
	store, sink := memory.NewStore(), &loads{Sink: memory.NewSink()}
	appendTo(t, store, "bad", renamed{"good"})
	appendTo(t, store, "bad", renamed{"b\x00d"})
	for range n {
		appendTo(t, store, "bad", paid{Cents: 1})
	}
	for n := range 99 {
		appendTo(t, store, fmt.Sprint(n), renamed{"b\x00d"})
	}
	w := worker(t, store, projection.Into(sink, accounts))
	w.Window = 5000
	working(t, w)
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often)
	parked, err := sink.Parked(t.Context(), accounts.Generation(), headOf(t, store).Store)
	require.NoError(t, err)
	require.Len(t, parked, 100)
	for _, p := range parked {
		if p.Key == "bad" {
			require.EqualValues(t, 2, p.Event.Position)
		}
	}
	require.Less(t, sink.n.Load(), int64(300))
	row, err := projection.NewReader(sink, accounts).Get(t.Context(), "bad")
	require.NoError(t, err)
	require.Equal(t, "good", row.Name)
}

// loads counts them.
type loads struct {
	*memory.Sink
	n atomic.Int64
}

func (c *loads) Load(ctx context.Context, model projection.Model, keys []string) ([]projection.Row, error) {
	c.n.Add(1)
	return c.Sink.Load(ctx, model, keys)
}

func TestTheCauseOfAParkedKeyIsKeptShortAndReadable(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := projection.NewView("loud", projection.ViewOptions{Version: 1}, projection.When(func(*account, paid, eventstore.Recorded) {
		panic("because \x00\xff " + strings.Repeat("ä", 1<<20))
	}))
	working(t, worker(t, store, projection.Into(sink, view)))
	appendTo(t, store, "a", paid{Cents: 1})
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	parked, err := sink.Parked(t.Context(), view.Generation(), headOf(t, store).Store)
	require.NoError(t, err)
	require.Len(t, parked, 1)
	require.Contains(t, parked[0].Cause, "because \uFFFD\uFFFD ä")
	require.Less(t, len(parked[0].Cause), 3000)
}
