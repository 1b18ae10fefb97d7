package subscription_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

type mutation func(read *eventstore.LogRead, query eventstore.LogQuery) *eventstore.LogRead

func honest(read *eventstore.LogRead, _ eventstore.LogQuery) *eventstore.LogRead { return read }

// checkRareType catches up over 20 events of which the third matches, in windows of 4,
// and checks that every position is read once.
func checkRareType(t *testing.T, mutate mutation) error {
	store := filled(t, 2)
	appendTo(t, store, "rare")
	for range 17 {
		appendTo(t, store, "some")
	}
	var afters []int
	reader := log{LogReader: store, read: func(query eventstore.LogQuery) (*eventstore.LogRead, error) {
		afters = append(afters, int(query.After))
		if len(afters) > 100 {
			return nil, errors.New("it reads the same events for ever")
		}
		read, err := store.ReadLog(t.Context(), query)
		if err != nil {
			return nil, err
		}
		return mutate(read, query), nil
	}}
	to := &target{}
	if err := catchUp(t.Context(), reader, eventstore.Types("rare"), to, 4); err != nil {
		return err
	}
	if want := []int{0, 4, 8, 12, 16}; !slices.Equal(afters, want) {
		return wrong("reads after", afters, want)
	}
	if head, _ := store.Head(t.Context()); to.at.Token() != head {
		return wrong("checkpoint", to.at.Token(), head)
	}
	if got := to.applied(); !slices.Equal(got, []int{3}) {
		return wrong("applied", got, "[3]")
	}
	return nil
}

func TestARareTypeMovesTheCheckpointWithEveryWindow(t *testing.T) {
	require.NoError(t, checkRareType(t, honest))
}

func TestAStoreWhoseReadEndsAtTheLastMatchIsCaught(t *testing.T) {
	err := checkRareType(t, func(read *eventstore.LogRead, _ eventstore.LogQuery) *eventstore.LogRead {
		read.Through = read.After
		for event := range read.Events() {
			read.Through = eventstore.Anchor{Position: event.Position, EventID: event.ID}
		}
		return read
	})
	require.Error(t, err, "the mutant survived")
	assert.ErrorContains(t, err, "covers nothing after position 3, though its head is 20")
}

// checkOnce catches up twice over a log and checks that every event takes effect once.
func checkOnce(t *testing.T, mutate mutation) error {
	store, to := filled(t, 7), &target{}
	reader := log{LogReader: store, read: func(query eventstore.LogQuery) (*eventstore.LogRead, error) {
		read, err := store.ReadLog(t.Context(), query)
		if err != nil {
			return nil, err
		}
		return mutate(read, query), nil
	}}
	if err := catchUp(t.Context(), reader, eventstore.Query{}, to, 3); err != nil {
		return err
	}
	appendTo(t, store, "some", "some")
	if err := catchUp(t.Context(), reader, eventstore.Query{}, to, 3); err != nil {
		return err
	}
	if got := to.applied(); !slices.Equal(got, upTo(9)) {
		return wrong("applied", got, upTo(9))
	}
	return nil
}

func TestEveryEventTakesEffectOnceAndInOrder(t *testing.T) {
	require.NoError(t, checkOnce(t, honest))
}

func TestAStoreThatReturnsTheEventAtTheCheckpointIsCaught(t *testing.T) {
	inclusive := func(read *eventstore.LogRead, query eventstore.LogQuery) *eventstore.LogRead {
		return changed(read, func(yield func(eventstore.Recorded, error) bool) {
			again := eventstore.Recorded{EventData: eventstore.EventData{ID: read.After.EventID}, Position: query.After}
			if query.After > 0 && !yield(again, nil) {
				return
			}
			read.Events()(yield)
		})
	}
	require.ErrorContains(t, checkOnce(t, inclusive), "position 3 after position 3", "the mutant survived")
}

func TestAWindowEndsEarlyAtItsBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 30).Draw(rt, "sizes")
		bound := rapid.IntRange(1, 100).Draw(rt, "bound")
		positions := rapid.IntRange(1, 12).Draw(rt, "positions")
		store, to := memory.NewStore(), &target{}
		for _, size := range sizes {
			_, err := add(store, rapid.SampledFrom([]string{"some", "other"}).Draw(rt, "type"), bytes.Repeat([]byte{'x'}, size))
			require.NoError(rt, err)
		}
		query := eventstore.Types("some")
		options := subscription.Options{Window: positions, WindowBytes: bound}
		require.NoError(rt, subscription.New("test", store, query, to, options).CatchUp(t.Context()))

		read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: query})
		require.NoError(rt, err)
		var want []int
		for event := range read.Events() {
			want = append(want, int(event.Position))
		}
		require.Equal(rt, want, to.applied())
		require.Equal(rt, read.Token(), to.at.Token())
		for n, w := range to.windows {
			held := 0
			for m, event := range w.Events {
				if m < len(w.Events)-1 {
					held += len(event.Data)
				}
			}
			require.Less(rt, held, bound, "all but the last event of a window stay below the bound")
			require.LessOrEqual(rt, w.To.Position()-w.From.Position(), eventstore.Position(positions))
			if n > 0 {
				require.Equal(rt, to.windows[n-1].To, w.From)
			}
			at, err := store.ReadLog(t.Context(), eventstore.LogQuery{After: w.To.Position()})
			require.NoError(rt, err)
			require.Equal(rt, at.After, w.To.Anchor, "the anchor names the event at its position")
		}
	})
}

func TestAnErrorInTheMiddleOfAReadAppliesNothingOfIt(t *testing.T) {
	store, to := filled(t, 4), &target{}
	broken := errors.New("connection reset")
	tries := 0
	reader := log{LogReader: store, read: func(query eventstore.LogQuery) (*eventstore.LogRead, error) {
		tries++
		read, err := store.ReadLog(t.Context(), query)
		if tries > 1 || err != nil {
			return read, err
		}
		return changed(read, func(yield func(eventstore.Recorded, error) bool) {
			for event := range read.Events() {
				if event.Position == 3 {
					yield(eventstore.Recorded{}, broken)
					return
				}
				if !yield(event, nil) {
					return
				}
			}
		}), nil
	}}
	require.NoError(t, catchUp(t.Context(), reader, eventstore.Query{}, to, 0))
	assert.Equal(t, 2, tries)
	assert.Len(t, to.windows, 1)
	assert.Equal(t, upTo(4), to.applied())
}

func TestProgressTellsOfEveryWindow(t *testing.T) {
	store := filled(t, 5)
	var seen []subscription.Progress
	options := subscription.Options{Window: 2, OnProgress: func(p subscription.Progress) { seen = append(seen, p) }}
	require.NoError(t, subscription.New("orders", store, eventstore.Query{}, &target{}, options).CatchUp(t.Context()))
	assert.Equal(t, []subscription.Progress{{Name: "orders", Position: 2, Head: 5}, {Name: "orders", Position: 4, Head: 5}, {Name: "orders", Position: 5, Head: 5}}, seen)
}
