package saga_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

var errAway = errors.New("the bank is away")

func TestAServiceThatIsAwayLeavesInstancesStuckUntilTheyAreResumed(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		at.deposits(t, "ann", 100)
		at.requests(t, requested{"t1", "ann", "bob", 30})
		var away atomic.Bool
		away.Store(true)
		bank := saga.ToBus(newBank(at.store))
		w := at.worker(t)
		w.Dispatcher = saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
			assert.NotEmpty(t, c.Payload, "each attempt is for the whole command")
			if away.Load() {
				return errAway
			}
			return bank.Dispatch(ctx, c)
		})
		runs(t, w)
		row := awaits(t, at, "t1", saga.Stuck)
		assert.Equal(t, errAway.Error(), row.Reason)
		entries, err := transfers.Timeline(t.Context(), at.store, "t1")
		require.NoError(t, err)
		assert.Equal(t, 4, count(entries, "saga.command.failed"))
		for m, err := range at.store.ReadStream(t.Context(), transfers.Stream("t1"), eventstore.StreamRange{}) {
			require.NoError(t, err)
			if m.Type == "saga.command.requested" {
				assert.Equal(t, bytes.Contains(m.Data, []byte(`"Attempt":1`)), bytes.Contains(m.Data, []byte(`"Payload"`)), "the payload is recorded once: %s", m.Data)
			}
		}

		stuck := 0
		for row, err := range transfers.InPhase(t.Context(), at.sink, saga.Stuck) {
			require.NoError(t, err)
			assert.Equal(t, "t1", row.ID)
			stuck++
		}
		assert.Equal(t, 1, stuck)

		away.Store(false)
		require.NoError(t, transfers.Resume(t.Context(), at.store, "t1", "the bank is back"))
		awaits(t, at, "t1", saga.Completed)
		require.ErrorIs(t, transfers.Resume(t.Context(), at.store, "t1", ""), saga.ErrNotStuck)
		require.ErrorIs(t, transfers.Resume(t.Context(), at.store, "t9", ""), saga.ErrNotStuck)
	})
}

// One service does not answer at all. The commands to others go on.
func TestACommandThatHangsIsGivenUpAndTriedLater(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.deposits(t, "ann", 100)
	at.deposits(t, "eve", 100)
	bank := saga.ToBus(newBank(at.store))
	var hung atomic.Int64
	w := at.worker(t)
	w.DispatchTimeout = 200 * time.Millisecond
	w.Dispatcher = saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
		if c.Name == "account.withdraw" && hung.Add(1) == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return bank.Dispatch(ctx, c)
	})
	runs(t, w)
	at.requests(t, requested{"t1", "ann", "bob", 30}, requested{"t2", "eve", "bob", 30})
	awaits(t, at, "t1", saga.Completed)
	awaits(t, at, "t2", saga.Completed)
}

// Many events of one instance come at once, from several workers that know nothing of each other.
func TestEventsOfOneInstanceAtOnceAreAllSeenOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		const events, workers = 12, 3
		at.requests(t, requested{ID: "t1"})
		var all sync.WaitGroup
		for n := range events {
			all.Go(func() { at.withdraws(t, fmt.Sprint("a", n), "t1") })
		}
		all.Wait()
		idle := make([]func(), workers)
		for n := range idle {
			own, w := at, at.worker(t)
			own.sink = memory.NewSink()
			w.Sagas, w.Sink = []saga.Saga{counting}, own.sink
			runs(t, w)
			idle[n] = func() { own.isIdle(t, w) }
		}
		observed := func() int {
			entries, err := counting.Timeline(t.Context(), at.store, "t1")
			assert.NoError(t, err)
			return count(entries, "saga.observed")
		}
		require.Eventually(t, func() bool { return observed() == 1+events }, patience, 2*time.Millisecond)
		for _, isIdle := range idle {
			isIdle()
		}
		assert.Equal(t, 1+events, observed())
	})
}

// counting never ends.
var counting = saga.Define("counting", saga.Definition[int]{
	Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
	On: []saga.Rule[int]{
		saga.Begin[int](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil),
		saga.On(func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, func(n *int, _ withdrawn, _ eventstore.Recorded) { *n++ }),
	},
	Steps: []saga.Step[int]{{
		Name: "count",
		Do:   saga.Send("nothing", func(int) struct{} { return struct{}{} }),
		Done: []saga.Match{saga.ByIf(func(withdrawn) bool { return false })},
	}},
})

// fussy panics on what it is told of one instance, until it is mended.
func fussy(mended *atomic.Bool) *saga.Type[transfer] {
	return saga.Define("fussy", saga.Definition[transfer]{
		Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
		On: []saga.Rule[transfer]{
			saga.Begin(func(e requested, _ eventstore.Recorded) string { return e.ID }, func(_ *transfer, e requested, _ eventstore.Recorded) {
				if e.ID == "bad" && !mended.Load() {
					panic("a fold that is wrong")
				}
			}),
			saga.On[transfer](func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, nil),
		},
		Steps: []saga.Step[transfer]{{Name: "wait", Done: []saga.Match{saga.By[withdrawn]()}}},
	})
}

func TestAPoisonedInstanceIsParkedAloneAndTakenUpAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		var mended atomic.Bool
		typ := fussy(&mended)
		w := at.worker(t)
		w.Sagas = []saga.Saga{typ}
		runs(t, w)
		at.requests(t, requested{ID: "bad"}, requested{ID: "good"})
		at.withdraws(t, "ann", "bad")
		at.withdraws(t, "ann", "good")
		has := func(id string, phase saga.Phase) func() bool {
			return func() bool {
				row, err := projection.NewReader(at.sink, typ.Instances()).Get(t.Context(), id)
				return err == nil && row.Phase == phase
			}
		}
		require.Eventually(t, has("good", saga.Completed), patience, 2*time.Millisecond)
		at.isIdle(t, w) // it is parked when the window ends in which the others go on
		parked, err := w.Parked(t.Context())
		require.NoError(t, err)
		require.Len(t, parked, 1)
		assert.Equal(t, "fussy-bad", parked[0].Key)
		assert.Contains(t, parked[0].Cause, "a fold that is wrong")
		require.ErrorContains(t, w.Unpark(t.Context(), parked[0]), "a fold that is wrong")

		mended.Store(true)
		require.NoError(t, w.Unpark(t.Context(), parked[0]))
		require.Eventually(t, has("bad", saga.Completed), patience, 2*time.Millisecond)
		parked, err = w.Parked(t.Context())
		require.NoError(t, err)
		assert.Empty(t, parked)
	})
}

// listing keeps the accounts that money was taken from, and panics on ann's until it is mended.
func listing(mended *atomic.Bool) *saga.Type[[]string] {
	return saga.Define("listing", saga.Definition[[]string]{
		Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
		On: []saga.Rule[[]string]{
			saga.Begin[[]string](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil),
			saga.On(func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, func(all *[]string, _ withdrawn, m eventstore.Recorded) {
				if m.Stream.ID() == "ann" && !mended.Load() {
					panic("ann")
				}
				*all = append(*all, m.Stream.ID())
			}),
		},
		Steps: []saga.Step[[]string]{{Name: "wait", Done: []saga.Match{saga.ByIf(func(withdrawn) bool { return false })}}},
	})
}

// Each event comes in a window of its own: those behind the one that parked the instance leave it alone too.
func TestAParkedInstanceIsToldNothingMoreUntilItIsTakenUp(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	var mended atomic.Bool
	typ := listing(&mended)
	w := at.worker(t)
	w.Sagas, w.Window = []saga.Saga{typ}, 1
	at.requests(t, requested{ID: "bad"})
	for _, from := range []string{"eve", "ann", "bob", "cleo"} {
		at.withdraws(t, from, "bad")
	}
	runs(t, w)
	at.isIdle(t, w)
	assert.Equal(t, []string{"transferorder-bad", "account-eve"}, observedBy(t, at, typ, "bad"))

	parked, err := w.Parked(t.Context())
	require.NoError(t, err)
	require.Len(t, parked, 1)
	mended.Store(true)
	require.NoError(t, w.Unpark(t.Context(), parked[0]))
	want := []string{"transferorder-bad", "account-eve", "account-ann", "account-bob", "account-cleo"}
	assert.Equal(t, want, observedBy(t, at, typ, "bad"))
}

// observedBy returns the streams of the events that an instance was told, in its order.
func observedBy[S any](t *testing.T, at place, typ *saga.Type[S], id string) (streams []string) {
	t.Helper()
	entries, err := typ.Timeline(t.Context(), at.store, id)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Event != nil {
			streams = append(streams, string(e.Event.Stream))
		}
	}
	return streams
}

// An event that does not decode is parked with its stream.
func TestAnEventThatDoesNotDecodeIsParkedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	w := at.worker(t)
	runs(t, w)
	_, err := at.store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "transferorder-x", Events: []eventstore.EventData{{Type: "transfer.requested", Data: []byte("no JSON")}},
	}}})
	require.NoError(t, err)
	at.deposits(t, "ann", 100)
	at.requests(t, requested{"t1", "ann", "bob", 30})
	awaits(t, at, "t1", saga.Completed)
	at.isIdle(t, w)
	parked, err := w.Parked(t.Context())
	require.NoError(t, err)
	require.Len(t, parked, 1)
	assert.Equal(t, "transferorder-x", parked[0].Key)
	require.Error(t, w.Unpark(t.Context(), parked[0]))
}

// shy does not know whose an event is until it is mended.
func shy(mended *atomic.Bool) *saga.Type[struct{}] {
	return saga.Define("shy", saga.Definition[struct{}]{
		Events: []*codec.Set{transferOrders.Events()},
		On: []saga.Rule[struct{}]{saga.Begin[struct{}](func(e requested, _ eventstore.Recorded) string {
			if e.ID == "bad" && !mended.Load() {
				panic("whose is it?")
			}
			return e.ID
		}, nil)},
		Steps: []saga.Step[struct{}]{{Name: "go", Do: saga.Send("go", func(struct{}) struct{} { return struct{}{} })}},
	})
}

// The workers of the segments may be of different builds while a new one is deployed. Did a segment leave the
// event to the one that has its stream, whose build knows better and leaves it to that of the instance, it
// would be lost.
func TestAnEventOfWhichNobodyKnowsWhoseItIsIsParkedInEverySegment(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	var mended atomic.Bool
	typ := shy(&mended)
	w := at.worker(t)
	w.Sagas, w.Segments = []saga.Saga{typ}, 3
	w.Dispatcher = saga.DispatcherFunc(func(context.Context, saga.Command) error { return nil })
	runs(t, w)
	head, err := at.store.Head(t.Context())
	require.NoError(t, err)
	leases := at.sink.Leases(projection.Generation{Name: "shy_told", Version: 1}, head.Store)
	require.Eventually(t, func() bool {
		roster, err := leases.Roster(t.Context())
		return err == nil && len(roster.Segments) == 3
	}, patience, 2*time.Millisecond)
	at.requests(t, requested{ID: "bad"}, requested{ID: "good"})
	at.isIdle(t, w)
	assert.Len(t, observedBy(t, at, typ, "good"), 1)
	parked, err := w.Parked(t.Context())
	require.NoError(t, err)
	require.Len(t, parked, 3)
	require.ErrorContains(t, w.Unpark(t.Context(), parked[0]), "whose is it?")

	mended.Store(true)
	for _, p := range parked {
		require.NoError(t, w.Unpark(t.Context(), p))
	}
	assert.Len(t, observedBy(t, at, typ, "bad"), 1)
	parked, err = w.Parked(t.Context())
	require.NoError(t, err)
	assert.Empty(t, parked)
}

// What an event of a parked stream tells an instance that is parked too waits for the instance: it lacks what is before.
func TestToUnparkAStreamTellsNothingToAnInstanceThatIsParkedItself(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	var knows, mended atomic.Bool
	typ := saga.Define("both", saga.Definition[[]string]{
		Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
		On: []saga.Rule[[]string]{
			saga.Begin[[]string](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil),
			saga.On(func(e withdrawn, _ eventstore.Recorded) string {
				if e.Transfer == "x" && !knows.Load() {
					panic("whose is it?")
				}
				return "t1"
			}, func(_ *[]string, _ withdrawn, m eventstore.Recorded) {
				if m.Stream.ID() == "ann" && !mended.Load() {
					panic("ann")
				}
			}),
		},
		Steps: []saga.Step[[]string]{{Name: "wait", Done: []saga.Match{saga.ByIf(func(withdrawn) bool { return false })}}},
	})
	at.requests(t, requested{ID: "t1"})
	at.withdraws(t, "ann", "t1")
	at.withdraws(t, "eve", "x")
	w := at.worker(t)
	w.Sagas = []saga.Saga{typ}
	runs(t, w)
	at.isIdle(t, w)
	parked, err := w.Parked(t.Context())
	require.NoError(t, err)
	require.Len(t, parked, 2)
	require.Equal(t, "account-eve", parked[0].Key)
	knows.Store(true)
	require.NoError(t, w.Unpark(t.Context(), parked[0]))
	assert.Len(t, observedBy(t, at, typ, "t1"), 1)
	mended.Store(true)
	require.NoError(t, w.Unpark(t.Context(), parked[1]))
	assert.Equal(t, []string{"transferorder-t1", "account-ann", "account-eve"}, observedBy(t, at, typ, "t1"))
}

// A new build may have given the event up that an instance is parked at.
func TestAnInstanceIsUnparkedThoughTheSagaIsNotToldTheEventAnyMore(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	build := func(rules ...saga.Rule[[]string]) *saga.Type[[]string] {
		return saga.Define("given", saga.Definition[[]string]{
			Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
			On:     append(rules, saga.Begin[[]string](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil)),
			Steps:  []saga.Step[[]string]{{Name: "pay", Do: saga.Send("pay", func([]string) struct{} { return struct{}{} })}},
		})
	}
	w := at.worker(t)
	w.Dispatcher = saga.DispatcherFunc(func(context.Context, saga.Command) error { return errAway })
	w.Sagas = []saga.Saga{build(saga.On(func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer },
		func(*[]string, withdrawn, eventstore.Recorded) { panic("no") }))}
	at.requests(t, requested{ID: "t1"})
	at.withdraws(t, "ann", "t1")
	stop := runs(t, w)
	require.Eventually(t, func() bool {
		parked, err := w.Parked(t.Context())
		return err == nil && len(parked) == 1
	}, patience, 2*time.Millisecond)
	stop()
	w.Sagas = []saga.Saga{build()}
	parked, err := w.Parked(t.Context())
	require.NoError(t, err)
	require.Len(t, parked, 1)
	require.NoError(t, w.Unpark(t.Context(), parked[0]))
	parked, err = w.Parked(t.Context())
	require.NoError(t, err)
	require.Empty(t, parked)
}

func TestAFoldSeesTheEventAsItWasRecorded(t *testing.T) {
	t.Parallel()
	set, err := codec.NewSet(codec.Event[requested]("transfer.requested", codec.Tags(func(e requested) []eventstore.Tag {
		return []eventstore.Tag{eventstore.Tag("from:" + e.From)}
	})))
	require.NoError(t, err)
	typ := saga.Define("tagged", saga.Definition[[]eventstore.Tag]{
		Events: []*codec.Set{set},
		On: []saga.Rule[[]eventstore.Tag]{saga.Begin(func(e requested, _ eventstore.Recorded) string { return e.ID },
			func(tags *[]eventstore.Tag, _ requested, m eventstore.Recorded) { *tags = m.Tags })},
		Steps: []saga.Step[[]eventstore.Tag]{{Name: "go", Do: saga.Send("go", func([]eventstore.Tag) struct{} { return struct{}{} })}},
	})
	r := typ.Rehearse("t1", time.Now())
	require.NoError(t, r.Event(t.Context(), "transferorder-t1", requested{ID: "t1", From: "ann"}))
	assert.Equal(t, []eventstore.Tag{"from:ann"}, r.State())
}

func TestHistoryIsNotActedOn(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.requests(t, requested{ID: "old"})
	young := saga.Define("young", saga.Definition[struct{}]{
		Events: []*codec.Set{transferOrders.Events()},
		On:     []saga.Rule[struct{}]{saga.Begin[struct{}](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil)},
		Steps:  []saga.Step[struct{}]{{Name: "wait", Do: saga.Send("wait", func(struct{}) struct{} { return struct{}{} })}},
		Since:  time.Now().Add(time.Hour),
	})
	w := at.worker(t)
	w.Sagas = []saga.Saga{young}
	runs(t, w)
	at.isIdle(t, w)
	entries, err := young.Timeline(t.Context(), at.store, "old")
	require.NoError(t, err)
	assert.Empty(t, entries)
}
