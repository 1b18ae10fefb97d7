package projection_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

const soon, often = 20 * time.Second, 5 * time.Millisecond

// working runs a worker until the returned function is called, which checks that it ended well.
func working(t testing.TB, w projection.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func worker(t testing.TB, log eventstore.LogReader, tasks ...projection.Task) projection.Worker {
	return projection.Worker{Log: log, Events: events(t), Tasks: tasks, TTL: 300 * time.Millisecond, Window: 10}
}

func caughtUp(t testing.TB, log eventstore.LogReader, sink projection.Checkpoints, of projection.Generation) func() bool {
	return func() bool {
		s, err := projection.StatusOf(t.Context(), log, sink, of)
		require.NoError(t, err)
		return len(s.Segments) > 0 && s.Lag() == 0
	}
}

// A view by another key than the stream, a handler, and one that is divided.
func TestWorkersKeepReadModelsTogether(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	byPayee := projection.NewView("by_payee", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string { return e.To }, pay))
	count := func(table string) func(context.Context, *memory.Tx, eventstore.Recorded) error {
		return func(_ context.Context, tx *memory.Tx, e eventstore.Recorded) error {
			n, _ := tx.Get(table, e.Stream.ID())
			sum, _ := n.(int)
			tx.Put(table, e.Stream.ID(), sum+1)
			return nil
		}
	}
	whole := projection.NewHandler("whole", projection.HandlerOptions{Version: 1}, count("whole"))
	divided := projection.NewHandler("divided", projection.HandlerOptions{Version: 1, Key: func(e eventstore.Recorded) string { return e.Stream.ID() }}, count("divided"))
	for range 3 {
		w := worker(t, store, projection.Into(sink, accounts), projection.Into(sink, byPayee), projection.On(sink, whole), projection.On(sink, divided))
		w.Segments = 4
		working(t, w)
	}
	const streams, each = 25, 20
	for n := range streams * each {
		appendTo(t, store, fmt.Sprint(n%streams), paid{To: fmt.Sprint(n % 7), Cents: 1})
	}
	for _, of := range []projection.Generation{accounts.Generation(), byPayee.Generation(), {Name: "whole", Version: 1}, {Name: "divided", Version: 1}} {
		require.Eventually(t, caughtUp(t, store, sink, of), soon, often, of.String())
	}
	page, err := projection.NewReader(sink, accounts).List(t.Context(), projection.ListQuery{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, page.Rows, streams)
	for _, row := range page.Rows {
		require.EqualValues(t, each, row.Cents, row.ID)
	}
	sum := int64(0)
	for row, err := range projection.NewReader(sink, byPayee).All(t.Context(), projection.ListQuery{}) {
		require.NoError(t, err)
		sum += row.Cents
	}
	require.EqualValues(t, streams*each, sum)
	for _, table := range []string{"whole", "divided"} {
		for n := range streams {
			value, _ := sink.Value(table, fmt.Sprint(n))
			require.Equal(t, each, value, "%s %d", table, n)
		}
	}
	s, err := projection.StatusOf(t.Context(), store, sink, accounts.Generation())
	require.NoError(t, err)
	require.Len(t, s.Segments, 4)
	require.Len(t, s.Workers, 3)
	s, err = projection.StatusOf(t.Context(), store, sink, projection.Generation{Name: "whole", Version: 1})
	require.NoError(t, err)
	require.Len(t, s.Segments, 1, "a handler without a key is not divided")
}

func TestAWorkerRefusesWhatItCannotBegin(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	require.ErrorContains(t, projection.Worker{}.Run(t.Context()), "Log and Tasks are required")
	w := worker(t, store, projection.Into(sink, accounts))
	w.Segments = 2000
	require.ErrorContains(t, w.Run(t.Context()), "want 1 to 1024")
	w = worker(t, store, projection.Into(sink, accounts), projection.Into(sink, accounts))
	require.ErrorContains(t, w.Run(t.Context()), "accounts is given twice")
	w = worker(t, store, projection.Into(sink, accounts))
	w.Events, _ = codec.NewSet()
	require.ErrorContains(t, w.Run(t.Context()), "not registered")
	changed := projection.NewView("accounts", projection.ViewOptions{Version: 1}, projection.When(pay))
	require.NoError(t, runner(t, store, projection.Into(sink, accounts)).CatchUp(t.Context()))
	require.ErrorIs(t, worker(t, store, projection.Into(sink, changed)).Run(t.Context()), projection.ErrDefinitionChanged)
}

func TestARunnerRefusesAReadModelThatIsDivided(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	w := worker(t, store, projection.Into(sink, accounts))
	w.Segments = 2
	stop := working(t, w)
	appendTo(t, store, "a", paid{Cents: 1})
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often)
	stop()
	require.ErrorContains(t, runner(t, store, projection.Into(sink, accounts)).CatchUp(t.Context()), "run it by a projection.Worker")
}

// fragile is a view that some events are poison for, until it is repaired.
func fragile(repaired bool) *projection.View[account] {
	return projection.NewView("fragile", projection.ViewOptions{Version: 1}, projection.When(func(a *account, e paid, _ eventstore.Recorded) {
		a.Cents += e.Cents
		if e.Cents < 0 && !repaired {
			panic("a negative payment")
		}
	}))
}

func TestAPoisonEventParksItsKeyAndTheOthersGoOn(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := fragile(false)
	w := worker(t, store, projection.Into(sink, view))
	w.Segments = 2
	stop := working(t, w)
	appendTo(t, store, "good", paid{Cents: 1})
	appendTo(t, store, "bad", paid{Cents: 1})
	appendTo(t, store, "bad", paid{Cents: 2}, paid{Cents: -10}, paid{Cents: 4})
	appendTo(t, store, "good", paid{Cents: 5})
	appendTo(t, store, "bad", paid{Cents: 8})
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)

	reader := projection.NewReader(sink, view)
	rows, err := reader.GetMany(t.Context(), "good", "bad")
	require.NoError(t, err)
	require.EqualValues(t, 6, rows["good"].Cents)
	require.EqualValues(t, 3, rows["bad"].Cents, "as it was before the event, though the fold had half done its work")

	s, err := projection.StatusOf(t.Context(), store, sink, view.Generation())
	require.NoError(t, err)
	require.Len(t, s.Parked, 1)
	require.Equal(t, "bad", s.Parked[0].Key)
	require.EqualValues(t, 4, s.Parked[0].Event.Position)
	require.Contains(t, s.Parked[0].Cause, "a negative payment")

	require.ErrorContains(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, view), "bad"), "a negative payment")
	require.NoError(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, view), "good"), "it is not parked")

	// After a deploy of a view that can do it; meanwhile the old worker runs on.
	require.NoError(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, fragile(true)), "bad"))
	row, err := reader.Get(t.Context(), "bad")
	require.NoError(t, err)
	require.EqualValues(t, 1+2-10+4+8, row.Cents)
	appendTo(t, store, "bad", paid{Cents: 16})
	require.Eventually(t, func() bool {
		row, err := reader.Get(t.Context(), "bad")
		return err == nil && row.Cents == 1+2-10+4+8+16
	}, soon, often, "the worker takes it up again, though it knew it as parked")
	stop()
}

// What a reader answers that is asked for rows with a token, while a key is parked.
func TestAReaderDoesNotPassAParkedKeyOffAsFresh(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := fragile(false)
	working(t, worker(t, store, projection.Into(sink, view)))
	before := appendTo(t, store, "bad", paid{Cents: 1})
	after := appendTo(t, store, "bad", paid{Cents: -10})
	appendTo(t, store, "good", paid{Cents: 1})
	reader := projection.NewReader(sink, view)
	type ask struct {
		keys []string // nil: a list
	}
	handlers := query.NewBus()
	query.Handle(handlers, "ask", func(ctx context.Context, a ask) (int, error) {
		if a.keys == nil {
			page, err := reader.List(ctx, projection.ListQuery{})
			return len(page.Rows), err
		}
		rows, err := reader.GetMany(ctx, a.keys...)
		return len(rows), err
	}, query.Reads("fragile"))
	for _, c := range []struct {
		token  eventstore.Receipt
		keys   []string
		parked bool
	}{
		{before, []string{"bad"}, false}, {before, nil, false},
		{after, []string{"good"}, false}, {after, []string{"good", "bad"}, true}, {after, nil, true},
	} {
		_, err := query.Ask[int](t.Context(), handlers, ask{c.keys}, query.After(c.token.Token))
		parked, _ := errors.AsType[*projection.ParkedError](err)
		require.Equal(t, c.parked, parked != nil, "%v: %v", c, err)
		if c.parked {
			require.Equal(t, "bad", parked.Keys[0].Key)
			require.ErrorContains(t, err, "a negative payment")
		}
	}
	n, err := reader.GetMany(t.Context(), "bad")
	require.NoError(t, err, "who requires nothing gets the row as it is")
	require.Len(t, n, 1)
}

func TestAParkedKeyIsSkipped(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := fragile(false)
	working(t, worker(t, store, projection.Into(sink, view)))
	appendTo(t, store, "bad", paid{Cents: 1}, paid{Cents: -10}, paid{Cents: 2})
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	require.NoError(t, projection.Skip(t.Context(), store, events(t), projection.Into(sink, view), "bad"))
	appendTo(t, store, "bad", paid{Cents: 4})
	require.Eventually(t, func() bool {
		row, err := projection.NewReader(sink, view).Get(t.Context(), "bad")
		return err == nil && row.Cents == 1+4
	}, soon, often)
}

// Retries race with the worker that moves the checkpoint all the time: nothing is applied
// twice, and nothing is left out.
func TestARetryUnderLoadLosesNothing(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := fragile(false)
	working(t, worker(t, store, projection.Into(sink, view)))
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	want := int64(0)
	for n := range 300 {
		cents := int64(1)
		if n%50 == 10 {
			cents = -1
		}
		appendTo(t, store, "busy", paid{Cents: cents})
		appendTo(t, store, fmt.Sprint("other", n%5), paid{Cents: 1})
		want += cents
		if n%10 == 0 {
			require.NoError(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, fragile(true)), "busy"))
		}
	}
	require.Eventually(t, caughtUp(t, store, sink, view.Generation()), soon, often)
	require.NoError(t, projection.Retry(t.Context(), store, events(t), projection.Into(sink, fragile(true)), "busy"))
	row, err := projection.NewReader(sink, view).Get(t.Context(), "busy")
	require.NoError(t, err)
	require.Equal(t, want, row.Cents)
}

func TestAnEventWhoseKeyNobodyKnowsStopsItsSegment(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "a", paid{To: "x", Cents: 1})
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "test-a", Events: []eventstore.EventData{{Type: "paid", Data: []byte("no JSON")}}}}})
	require.NoError(t, err)
	byPayee := projection.NewView("by_payee", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string { return e.To }, pay))
	reports := make(chan subscription.Report, 100)
	w := worker(t, store, projection.Into(sink, accounts), projection.Into(sink, byPayee))
	w.Hooks.Segment = func(of projection.Generation, r subscription.Report) {
		if of == byPayee.Generation() {
			reports <- r
		}
	}
	working(t, w)
	report := <-reports
	require.Equal(t, subscription.Failed, report.State)
	require.Contains(t, report.Note, "position 2")
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often, "keyed by the stream, its key is known without its value, and parked")
	require.Eventually(t, func() bool {
		s, err := projection.StatusOf(t.Context(), store, sink, byPayee.Generation())
		require.NoError(t, err)
		return s.Segments[0].Report.State == subscription.Failed && s.Behind > 0
	}, 5*time.Second, often, "every process sees it within five seconds")
}

func TestTooManyParkedKeysStopTheSegment(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	view := fragile(false)
	for n := range 110 {
		appendTo(t, store, fmt.Sprint(n), paid{Cents: -1})
	}
	failed := make(chan subscription.Report, 100)
	w := worker(t, store, projection.Into(sink, view))
	w.Hooks.Segment = func(_ projection.Generation, r subscription.Report) { failed <- r }
	working(t, w)
	report := <-failed
	require.Equal(t, subscription.Failed, report.State)
	require.Contains(t, report.Note, "100 keys")
	parked, err := sink.Parked(t.Context(), view.Generation(), headOf(t, store).Store)
	require.NoError(t, err)
	require.Len(t, parked, 100)
}

// A sink that is away for a while, longer than the subscription tries: the worker waits, says
// so, and goes on.
func TestAWorkerWaitsForASinkThatIsAway(t *testing.T) {
	store, sink := memory.NewStore(), &flaky{Sink: memory.NewSink()}
	appendTo(t, store, "a", paid{Cents: 1})
	sink.away.Store(true)
	states := make(chan subscription.State, 100)
	w := worker(t, store, projection.Into(sink, accounts))
	w.Hooks.Segment = func(_ projection.Generation, r subscription.Report) { states <- r.State }
	working(t, w)
	require.Equal(t, subscription.Waiting, <-states)
	sink.away.Store(false)
	require.Equal(t, subscription.Running, <-states)
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often)
}

var errAway = errors.New("the sink is away")

// flaky is a sink that cannot commit while it is away.
type flaky struct {
	*memory.Sink
	away atomic.Bool
}

func (f *flaky) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if f.away.Load() {
		return errAway
	}
	return f.Sink.Commit(ctx, model, move, changes)
}

// A sink that refuses the worker, and goes on refusing: somebody is told.
func TestAWorkerSaysWhatKeepsItFromWork(t *testing.T) {
	for _, lasting := range []bool{false, true} {
		store, sink := memory.NewStore(), &refusing{Sink: memory.NewSink(), err: errAway}
		if lasting {
			sink.err = fmt.Errorf("%w: %w", subscription.ErrPermanent, errAway)
		}
		told := make(chan error, 100)
		w := worker(t, store, projection.Into(sink, accounts))
		w.Hooks.Failed = func(of projection.Generation, err error) {
			if of == accounts.Generation() {
				told <- err
			}
		}
		if !lasting {
			working(t, w)
			require.ErrorIs(t, <-told, errAway)
			require.ErrorIs(t, <-told, errAway, "it tries again")
			continue
		}
		require.ErrorIs(t, w.Run(t.Context()), errAway)
		require.ErrorIs(t, <-told, errAway)
	}
}

// refusing is a sink without leases.
type refusing struct {
	*memory.Sink
	err error
}

func (r *refusing) Leases(projection.Generation, eventstore.StoreID) subscription.Leases {
	return noLeases{err: r.err}
}

type noLeases struct {
	subscription.Leases
	err error
}

func (l noLeases) Attend(context.Context, subscription.WorkerID, time.Duration, []subscription.Report) (subscription.Roster, error) {
	return subscription.Roster{}, l.err
}
