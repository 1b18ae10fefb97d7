package projection_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

func TestAPausedProjectionStandsStillUntilItIsResumed(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	of := accounts.Generation()
	require.ErrorIs(t, projection.Pause(t.Context(), store, sink, of), projection.ErrNotBuilt)
	task := projection.Into(sink, accounts)
	w := worker(t, store, task)
	w.Segments = 2
	stop := working(t, w)
	appendTo(t, store, "a", paid{Cents: 1})
	require.Eventually(t, caughtUp(t, store, sink, of), soon, often)

	require.NoError(t, projection.Pause(t.Context(), store, sink, of))
	appendTo(t, store, "a", paid{Cents: 2})
	still := func() {
		s, err := projection.StatusOf(t.Context(), store, sink, of)
		require.NoError(t, err)
		require.EqualValues(t, 1, s.Position)
		for _, l := range s.Segments {
			require.Equal(t, subscription.Paused, l.Report.State)
		}
		row, err := projection.NewReader(sink, accounts).Get(t.Context(), "a")
		require.NoError(t, err)
		require.EqualValues(t, 1, row.Cents)
	}
	still()
	stop()
	working(t, w) // every worker may start again
	require.Eventually(t, func() bool {
		s, err := projection.StatusOf(t.Context(), store, sink, of)
		return err == nil && len(s.Workers) == 1
	}, soon, often)
	still()

	require.NoError(t, projection.Resume(t.Context(), store, sink, of))
	require.Eventually(t, caughtUp(t, store, sink, of), soon, often)
	row, err := projection.NewReader(sink, accounts).Get(t.Context(), "a")
	require.NoError(t, err)
	require.EqualValues(t, 3, row.Cents)
}

func TestARunnerEndsWithAPause(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	r := runner(t, store, projection.Into(sink, accounts), projection.On(sink, counting(func(eventstore.Recorded, int) error { return nil })))
	require.NoError(t, r.CatchUp(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.Run(t.Context()) }()
	require.NoError(t, projection.Pause(t.Context(), store, sink, accounts.Generation()))
	appendTo(t, store, "a", paid{Cents: 1})
	require.ErrorIs(t, <-ended, projection.ErrPaused)
	require.ErrorIs(t, r.CatchUp(t.Context()), projection.ErrPaused)
	_, err := projection.NewReader(sink, accounts).Get(t.Context(), "a")
	require.ErrorIs(t, err, projection.ErrNotFound)
	require.NoError(t, projection.Resume(t.Context(), store, sink, accounts.Generation()))
	require.NoError(t, r.CatchUp(t.Context()))
}

// A segment that has failed for good is held by the worker that knows why. When the cause is
// mended, a pause and its end have the workers try anew.
func TestAFailedSegmentIsTriedAnewAfterAPause(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	var mended atomic.Bool
	handler := projection.NewHandler("mail", projection.HandlerOptions{Version: 1}, func(context.Context, *memory.Tx, eventstore.Recorded) error {
		if !mended.Load() {
			panic("no mail server is configured")
		}
		return nil
	})
	states := make(chan subscription.State, 100)
	w := worker(t, store, projection.On(sink, handler))
	w.Hooks.Segment = func(_ projection.Generation, r subscription.Report) { states <- r.State }
	working(t, w)
	appendTo(t, store, "a", paid{})
	require.Equal(t, subscription.Failed, <-states)
	mended.Store(true)
	of := projection.Generation{Name: "mail", Version: 1}
	require.NoError(t, projection.Pause(t.Context(), store, sink, of))
	require.NoError(t, projection.Resume(t.Context(), store, sink, of))
	require.Eventually(t, caughtUp(t, store, sink, of), soon, often)
}

// away is a sink that cannot be opened for a while.
type away struct {
	*memory.Sink
	tries atomic.Int64
}

func (s *away) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	if s.tries.Add(1) < 3 {
		return errAway
	}
	return s.Sink.Open(ctx, model, source)
}

func TestAWorkerThatStartsWhileASinkIsAwayWaitsForIt(t *testing.T) {
	store, there, gone := memory.NewStore(), memory.NewSink(), &away{Sink: memory.NewSink()}
	appendTo(t, store, "a", paid{Cents: 1})
	told := make(chan error, 100)
	byPayee := projection.NewView("by_payee", projection.ViewOptions{Version: 1}, projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string { return "all" }, pay))
	w := worker(t, store, projection.Into(gone, accounts), projection.Into(there, byPayee))
	w.Hooks.Failed = func(of projection.Generation, err error) {
		if of == accounts.Generation() {
			told <- err
		}
	}
	working(t, w)
	require.ErrorIs(t, <-told, errAway)
	require.ErrorIs(t, <-told, errAway)
	require.Eventually(t, caughtUp(t, store, there, byPayee.Generation()), soon, often)
	require.Eventually(t, caughtUp(t, store, gone.Sink, accounts.Generation()), soon, often)
}

// A definition that was changed ends the worker, whatever else it does: it is a wrong deploy.
func TestAChangedDefinitionEndsTheWorkerAlsoLater(t *testing.T) {
	store, there, gone := memory.NewStore(), memory.NewSink(), &away{Sink: memory.NewSink()}
	require.NoError(t, runner(t, store, projection.Into(gone.Sink, accounts)).CatchUp(t.Context()))
	changed := projection.NewView("accounts", projection.ViewOptions{Version: 1}, projection.When(pay))
	w := worker(t, store, projection.Into(gone, changed), projection.On(there, counting(func(eventstore.Recorded, int) error { return nil })))
	require.ErrorIs(t, w.Run(t.Context()), projection.ErrDefinitionChanged)
	require.EqualValues(t, 3, gone.tries.Load())
}

// busySink says that it is busy, for as long as somebody wants it to.
type busySink struct {
	*memory.Sink
	busy atomic.Bool
}

func (s *busySink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if s.busy.Load() {
		return errors.Join(eventstore.ErrStoreBusy, errAway)
	}
	return s.Sink.Commit(ctx, model, move, changes)
}

func TestASinkThatIsBusyForLongIsNotCalledRunning(t *testing.T) {
	store, sink := memory.NewStore(), &busySink{Sink: memory.NewSink()}
	sink.busy.Store(true)
	appendTo(t, store, "a", paid{Cents: 1})
	states := make(chan subscription.State, 100)
	w := worker(t, store, projection.Into(sink, accounts))
	w.TTL = 10 * time.Second
	w.Hooks.Segment = func(_ projection.Generation, r subscription.Report) { states <- r.State }
	working(t, w)
	require.Equal(t, subscription.Waiting, <-states)
	sink.busy.Store(false)
	require.Equal(t, subscription.Running, <-states)
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often)
}
