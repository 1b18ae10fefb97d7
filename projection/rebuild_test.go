package projection_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// accountsAt is a view of accounts with another row from version to version.
func accountsAt(version int) *projection.View[account] {
	return projection.NewView("accounts", projection.ViewOptions{Version: version, Indexes: []string{"cents"}},
		projection.When(func(a *account, e paid, _ eventstore.Recorded) { a.Cents += e.Cents * int64(version) }))
}

func TestARebuildReplacesTheLiveGeneration(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	for n := range 500 {
		appendTo(t, store, fmt.Sprint(n%20), paid{Cents: 1})
	}
	one, two := accountsAt(1), accountsAt(2)
	require.NoError(t, runner(t, store, projection.Into(sink, one)).CatchUp(t.Context()))
	reader := projection.NewReader(sink, two)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := reader.Get(short, "1")
	var building *projection.BuildingError
	require.ErrorAs(t, err, &building)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	var phases []projection.Phase
	options := projection.RebuildOptions{OnProgress: func(p projection.RebuildProgress) {
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
	}}
	require.NoError(t, projection.Rebuild(t.Context(), store, events(t), projection.Into(sink, two), options))
	require.Equal(t, []projection.Phase{projection.Replaying, projection.Indexing, projection.Verifying, projection.Switching, projection.Switched}, phases)
	row, err := reader.Get(t.Context(), "1")
	require.NoError(t, err)
	require.EqualValues(t, 50, row.Cents)
	row, err = projection.NewReader(sink, one).Get(t.Context(), "1")
	require.NoError(t, err)
	require.EqualValues(t, 25, row.Cents)

	err = projection.Rebuild(t.Context(), store, events(t), projection.Into(sink, two), options)
	require.ErrorIs(t, err, projection.ErrLive)
	require.NoError(t, projection.Rollback(t.Context(), sink, one.Generation()))
	appendTo(t, store, "1", paid{Cents: 1})
	require.NoError(t, runner(t, store, projection.Into(sink, one)).CatchUp(t.Context()))
	err = projection.Rollback(t.Context(), sink, two.Generation())
	var behind *projection.BehindError
	require.ErrorAs(t, err, &behind)
	require.EqualValues(t, 500, behind.At)
	require.NoError(t, projection.Retire(t.Context(), sink, two.Generation()))
	require.ErrorIs(t, projection.Retire(t.Context(), sink, one.Generation()), projection.ErrLive)
}

// The old program's worker and the new one's run beside each other, each with what it has.
func TestAWorkerOfANewProgramReplacesTheGenerationOfAnOldOne(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	for n := range 200 {
		appendTo(t, store, fmt.Sprint(n%20), paid{Cents: 1})
	}
	one, two := accountsAt(1), accountsAt(2)
	stopOld := working(t, worker(t, store, projection.Into(sink, one)))
	require.Eventually(t, caughtUp(t, store, sink, one.Generation()), soon, often)

	answer := make(chan error, 1)
	reader := projection.NewReader(sink, two) // it waits for what nobody has begun to build
	go func() {
		row, err := reader.Get(t.Context(), "3")
		if err == nil && row.Cents < 20 {
			err = fmt.Errorf("it answers %+v before it is live", row)
		}
		answer <- err
	}()
	var switched atomic.Int64
	fresh := worker(t, store, projection.Into(sink, two))
	fresh.Segments = 2
	fresh.Hooks.Rebuild = func(p projection.RebuildProgress) {
		if p.Phase == projection.Switched {
			switched.Add(1)
		}
	}
	for range 2 { // they share the work, and one of them makes the switch
		working(t, fresh)
	}
	require.NoError(t, <-answer)
	appendTo(t, store, "3", paid{Cents: 1})
	for _, of := range []projection.Generation{one.Generation(), two.Generation()} {
		require.Eventually(t, caughtUp(t, store, sink, of), soon, often)
	}
	stages := func() (stages []projection.Stage, frozen []bool) {
		all, err := projection.StatusOfAll(t.Context(), store, sink, "accounts")
		require.NoError(t, err)
		for _, s := range all {
			stages, frozen = append(stages, s.Stage), append(frozen, s.Frozen())
		}
		return stages, frozen
	}
	both, frozen := stages()
	require.Equal(t, []projection.Stage{projection.Kept, projection.Live}, both)
	require.Equal(t, []bool{false, false}, frozen)
	require.ErrorIs(t, projection.Retire(t.Context(), sink, one.Generation()), projection.ErrAttended)

	// Back and forth: the worker of the new program does not promote again what was taken back.
	require.NoError(t, projection.Rollback(t.Context(), sink, one.Generation()))
	appendTo(t, store, "3", paid{Cents: 1})
	require.Eventually(t, caughtUp(t, store, sink, two.Generation()), soon, often)
	both, _ = stages()
	require.Equal(t, []projection.Stage{projection.Live, projection.Kept}, both)
	require.Eventually(t, caughtUp(t, store, sink, one.Generation()), soon, often)
	require.NoError(t, projection.Rollback(t.Context(), sink, two.Generation()))

	stopOld()
	appendTo(t, store, "3", paid{Cents: 1})
	require.Eventually(t, caughtUp(t, store, sink, two.Generation()), soon, often)
	both, frozen = stages()
	require.Equal(t, []projection.Stage{projection.Kept, projection.Live}, both)
	require.Equal(t, []bool{true, false}, frozen)
	old, err := projection.StatusOf(t.Context(), store, sink, one.Generation())
	require.NoError(t, err)
	require.EqualValues(t, 1, old.Lag())
	require.Positive(t, switched.Load(), "one that opened it in time was told")

	require.NoError(t, projection.Retire(t.Context(), sink, one.Generation()))
	err = worker(t, store, projection.Into(sink, one)).Run(t.Context())
	require.ErrorIs(t, err, projection.ErrOutdated, "the old program builds no old rows again")
	_, err = projection.NewReader(sink, one).Get(t.Context(), "3")
	require.ErrorIs(t, err, projection.ErrOutdated)
}

func TestProcessesShareARebuild(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	for n := range 2000 {
		appendTo(t, store, fmt.Sprint(n%50), paid{Cents: 1})
	}
	require.NoError(t, runner(t, store, projection.Into(sink, accountsAt(1))).CatchUp(t.Context()))
	errs := make([]error, 3)
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() {
			errs[n] = projection.Rebuild(t.Context(), store, events(t), projection.Into(sink, accountsAt(2)), projection.RebuildOptions{Window: 50, Segments: 4, TTL: time.Second})
			if errors.Is(errs[n], projection.ErrLive) { // the others were faster
				errs[n] = nil
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	report, err := projection.Audit(t.Context(), store, events(t), sink, accountsAt(2), projection.AuditOptions{Sample: 500})
	require.NoError(t, err)
	require.Len(t, report.Keys, 50)
	require.Empty(t, report.Differences)
}

func TestARebuildWhoseRowsAreNotTheLogsDoesNotBecomeLive(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	for n := range 100 {
		appendTo(t, store, fmt.Sprint(n%5), paid{Cents: 1})
	}
	require.NoError(t, runner(t, store, projection.Into(sink, accountsAt(1))).CatchUp(t.Context()))
	var calls atomic.Int64
	impure := projection.NewView("accounts", projection.ViewOptions{Version: 2},
		projection.When(func(a *account, _ paid, _ eventstore.Recorded) { a.Cents = calls.Add(1) }))
	err := projection.Rebuild(t.Context(), store, events(t), projection.Into(sink, impure), projection.RebuildOptions{})
	var drift *projection.DriftError
	require.ErrorAs(t, err, &drift)
	require.ErrorContains(t, err, "cents is")
	require.Len(t, drift.Differences, 5)
	w := worker(t, store, projection.Into(sink, impure))
	failed := make(chan error, 1)
	w.Hooks.Failed = func(_ projection.Generation, err error) { failed <- err }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	require.ErrorAs(t, <-failed, &drift)
	stop()
	require.ErrorAs(t, <-ended, &drift)
	err = runner(t, store, projection.Into(sink, impure)).CatchUp(t.Context())
	require.Error(t, err, "it is divided, and its rows are wrong")
	all, err := projection.StatusOfAll(t.Context(), store, sink, "accounts")
	require.NoError(t, err)
	require.Equal(t, projection.Live, all[0].Stage)
	require.Equal(t, projection.Building, all[1].Stage)
}

func TestARebuildThatParksOtherKeysThanTheLiveOneDoesNotBecomeLive(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "good", paid{Cents: 1})
	broken := eventstore.Write{Stream: "test-bad", Events: []eventstore.EventData{{Type: "paid", Data: []byte("{")}}}
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{broken}})
	require.NoError(t, err)
	ended := working(t, worker(t, store, projection.Into(sink, accountsAt(1))))
	require.Eventually(t, caughtUp(t, store, sink, accountsAt(1).Generation()), soon, often)
	ended()
	appendTo(t, store, "worse", paid{Cents: -1})
	stop := working(t, worker(t, store, projection.Into(sink, accountsAt(1))))
	require.Eventually(t, caughtUp(t, store, sink, accountsAt(1).Generation()), soon, often)
	stop()
	picky := projection.NewView("accounts", projection.ViewOptions{Version: 2}, projection.When(func(a *account, e paid, _ eventstore.Recorded) {
		if e.Cents < 0 {
			panic("negative")
		}
		a.Cents += e.Cents
	}))
	err = projection.Rebuild(t.Context(), store, events(t), projection.Into(sink, picky), projection.RebuildOptions{})
	require.ErrorContains(t, err, `key "worse" is parked since position 3, and not in accounts@1`)
	require.NoError(t, projection.Skip(t.Context(), store, events(t), projection.Into(sink, picky), "worse"))
	require.NoError(t, projection.Rebuild(t.Context(), store, events(t), projection.Into(sink, picky), projection.RebuildOptions{}))
}

func TestARebuildEndsWithASegmentThatCannotGoOn(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "a", paid{To: "x", Cents: 1})
	require.NoError(t, runner(t, store, projection.Into(sink, accountsAt(1))).CatchUp(t.Context()))
	lost := projection.NewView("accounts", projection.ViewOptions{Version: 2},
		projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string { panic("no key for " + e.To) }, pay))
	err := projection.Rebuild(t.Context(), store, events(t), projection.Into(sink, lost), projection.RebuildOptions{TTL: 300 * time.Millisecond})
	require.ErrorContains(t, err, "no key for x")
	require.ErrorIs(t, err, subscription.ErrPermanent)
}

func TestAResetMakesTheRowsAgainBesideItsWorkers(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	w := worker(t, store, projection.Into(sink, accounts))
	w.Segments = 2
	for range 2 {
		working(t, w)
	}
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often)
	for n := range 300 {
		appendTo(t, store, fmt.Sprint(n%10), paid{Cents: 1})
		if n%50 == 20 {
			require.NoError(t, projection.Reset(t.Context(), store, sink, accounts))
		}
	}
	require.Eventually(t, caughtUp(t, store, sink, accounts.Generation()), soon, often)
	page, err := projection.NewReader(sink, accounts).List(t.Context(), projection.ListQuery{})
	require.NoError(t, err)
	require.Len(t, page.Rows, 10)
	for _, row := range page.Rows {
		require.EqualValues(t, 30, row.Cents)
	}
}

func TestVersionsOfAHandlerAreApartOrReplaceEachOther(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	handler := func(name string, version int, table string, apart bool) *projection.Handler[*memory.Tx] {
		return projection.NewHandler(name, projection.HandlerOptions{Version: version, Apart: apart},
			func(_ context.Context, tx *memory.Tx, _ eventstore.Recorded) error {
				n, _ := tx.Get(table, "all")
				sum, _ := n.(int)
				tx.Put(table, "all", sum+version)
				return nil
			})
	}
	for range 10 {
		appendTo(t, store, "a", paid{Cents: 1})
	}
	catchUp := func(h *projection.Handler[*memory.Tx]) error {
		return projection.Runner{Log: store, Tasks: []projection.Task{projection.On(sink, h)}}.CatchUp(t.Context())
	}
	require.NoError(t, catchUp(handler("apart", 1, "one", true)))
	require.NoError(t, projection.Rebuild(t.Context(), store, nil, projection.On(sink, handler("apart", 2, "two", true)), projection.RebuildOptions{}))
	one, _ := sink.Value("one", "all")
	two, _ := sink.Value("two", "all")
	require.Equal(t, []any{10, 20}, []any{one, two})

	second := handler("shared", 2, "shared", false)
	require.NoError(t, catchUp(handler("shared", 1, "shared", false)))
	err := catchUp(second)
	require.ErrorContains(t, err, "shared@1 is live, and a handler's versions write the same tables: go over to this one by projection.ResetHandler")
	require.ErrorContains(t, projection.Rebuild(t.Context(), store, nil, projection.On(sink, second), projection.RebuildOptions{}), "projection.ResetHandler")
	require.NoError(t, projection.ResetHandler(t.Context(), store, sink, second, func(_ context.Context, tx *memory.Tx) error {
		tx.Delete("shared", "all")
		return nil
	}))
	require.NoError(t, catchUp(second))
	shared, _ := sink.Value("shared", "all")
	require.Equal(t, 20, shared)
	require.ErrorIs(t, catchUp(handler("shared", 1, "shared", true)), projection.ErrOutdated)
}

// With so many segments that move all the time, one of the new generation is behind at every moment.
func TestASwitchComesToItsEndHoweverManySegmentsMove(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	data, err := events(t).Encode(paid{Cents: 1})
	require.NoError(t, err)
	appending, stop := context.WithCancel(t.Context())
	appended := make(chan error, 1)
	go func() {
		var err error
		for n := 0; appending.Err() == nil && err == nil; n++ {
			write := eventstore.Write{Stream: eventstore.NewStreamID("test", fmt.Sprint(n%100)), Events: []eventstore.EventData{data}}
			_, err = store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
			time.Sleep(100 * time.Microsecond) // a busy log, and not a flood
		}
		appended <- err
	}()
	for version := range 2 {
		w := worker(t, store, projection.Into[account](tired{sink}, accountsAt(version+1)))
		w.Segments = 8
		working(t, w)
		require.Eventually(t, func() bool {
			s, err := projection.StatusOf(t.Context(), store, sink, accountsAt(version+1).Generation())
			return err == nil && len(s.Segments) == 8 && s.Position > 0 && s.Stage == projection.Live
		}, soon, often)
	}
	stop()
	require.NoError(t, <-appended)
	for version := range 2 {
		require.Eventually(t, caughtUp(t, store, sink, accountsAt(version+1).Generation()), soon, often)
	}
}

// A generation that appends apply is at the head at every moment, and nobody may hold it.
func TestARebuildSaysHowToReplaceWhatAppendsApply(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "1", paid{Cents: 1})
	require.NoError(t, runner(t, store, projection.Into(sink, accountsAt(1))).CatchUp(t.Context()))
	ahead := projection.Into[account](inline{sink}, accountsAt(2))
	err := projection.Rebuild(t.Context(), store, events(t), ahead, projection.RebuildOptions{})
	require.ErrorContains(t, err, "accounts@1 moves with every append, because the store applies it inline: open the store with accounts@2 in its place and call SwitchInline")
}

// inline is a sink whose generations are inline, and ahead of every other one.
type inline struct{ projection.Sink }

func (inline) Promote(context.Context, projection.Generation) error { return &projection.BehindError{} }

func (s inline) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	l := s.Sink.Leases(of, source)
	if of.Version == 1 {
		return inlineLeases{l}
	}
	return l
}

type inlineLeases struct{ subscription.Leases }

func (l inlineLeases) Roster(ctx context.Context) (subscription.Roster, error) {
	r, err := l.Leases.Roster(ctx)
	for n := range r.Segments {
		r.Segments[n].Holder = subscription.Inline
	}
	return r, err
}

// tired takes its time for each commit.
type tired struct{ projection.Sink }

func (s tired) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	time.Sleep(rand.N(10 * time.Millisecond))
	return s.Sink.Commit(ctx, model, move, changes)
}
