package projection_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// moved is an event with something in it that can be changed.
type moved struct {
	From, To string
	Labels   []string
}

type shelf struct {
	ID     string `leftfold:"key"`
	Labels []string
	Seen   int
}

// takes keeps the event's labels in the row and marks them there.
func takes(s *shelf, e moved, _ eventstore.Recorded) {
	s.Seen++
	s.Labels = e.Labels
	for n := range s.Labels {
		s.Labels[n] += "+" + s.ID
	}
}

var shelves = projection.NewView("shelves", projection.ViewOptions{Version: 1},
	projection.WhenKeyed(func(e moved, _ eventstore.Recorded) string { return e.From }, takes),
	projection.WhenKeyed(func(e moved, _ eventstore.Recorded) string { return e.To }, takes))

func moves(t testing.TB, n int) (*memory.Store, *codec.Set) {
	t.Helper()
	set, err := codec.NewSet(codec.Event[moved]("moved"))
	require.NoError(t, err)
	store := memory.NewStore()
	write := eventstore.Write{Stream: "book-1"}
	for n := range n {
		data, err := set.Encode(moved{fmt.Sprint("s", n%7), fmt.Sprint("s", (n+1)%7), []string{fmt.Sprint("l", n)}})
		require.NoError(t, err)
		write.Events = append(write.Events, data)
	}
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
	require.NoError(t, err)
	return store, set
}

func shelfRows(t testing.TB, sink projection.Sink) []shelf {
	t.Helper()
	page, err := projection.NewReader(sink, shelves).List(t.Context(), projection.ListQuery{})
	require.NoError(t, err)
	return page.Rows
}

// Two rows are folded from one event, by one target or by two at the same time: what one of them
// does to the event's slice is not seen in the other.
func TestRowsDoNotShareWhatAnEventRefersTo(t *testing.T) {
	const n = 40
	store, set := moves(t, n)
	want := make([]shelf, 7)
	for n := range n {
		for _, key := range []int{n % 7, (n + 1) % 7} {
			id := fmt.Sprint("s", key)
			want[key] = shelf{id, []string{fmt.Sprint("l", n, "+", id)}, want[key].Seen + 1}
		}
	}
	for _, window := range []int{1, 1000} {
		sink := memory.NewSink()
		r := projection.Runner{Log: store, Events: set, Window: window, Tasks: []projection.Task{projection.Into(sink, shelves)}}
		require.NoError(t, r.CatchUp(t.Context()))
		require.Equal(t, want, shelfRows(t, sink), "in windows of %d", window)
	}
	sink := memory.NewSink()
	w := worker(t, store, projection.Into(sink, shelves))
	w.Events, w.Segments, w.Window = set, 4, 1000
	working(t, w)
	require.Eventually(t, caughtUp(t, store, sink, shelves.Generation()), soon, often)
	require.Equal(t, want, shelfRows(t, sink))
}

// What is folded once more, because a key has to be parked or the sink has failed, is folded from
// the events as they were.
func TestAFoldThatIsRepeatedSeesTheEventsAsTheyWere(t *testing.T) {
	store, set := moves(t, 7) // the last one is poison
	poisoned := projection.NewView("shelves", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e moved, _ eventstore.Recorded) string { return e.From }, func(s *shelf, e moved, m eventstore.Recorded) {
			takes(s, e, m)
			if s.ID == "s6" {
				panic("it falls")
			}
		}))
	sink := memory.NewSink()
	w := worker(t, store, projection.Into(sink, poisoned))
	w.Events, w.Window = set, 1000
	working(t, w)
	require.Eventually(t, caughtUp(t, store, sink, shelves.Generation()), soon, often)
	var want []shelf
	for n := range 6 {
		want = append(want, shelf{fmt.Sprint("s", n), []string{fmt.Sprint("l", n, "+s", n)}, 1})
	}
	require.Equal(t, want, shelfRows(t, sink))
}

// tallying is JSON, and counts what is decoded.
type tallying struct{ decoded *atomic.Int32 }

func (tallying) Marshal(value any) ([]byte, error) { return json.Marshal(value) }

func (f tallying) Unmarshal(data []byte, into any) error {
	f.decoded.Add(1)
	return json.Unmarshal(data, into)
}

// The parts of a large window are decoded at the same time, each event once, and stay in order.
func TestALargeWindowIsDecodedInParts(t *testing.T) {
	const n = 3001
	var seen []eventstore.Position
	var decoded atomic.Int32
	set, err := codec.NewSet(codec.Event[renamed]("renamed", codec.In(tallying{&decoded})))
	require.NoError(t, err)
	store := memory.NewStore()
	write := eventstore.Write{Stream: "test-1"}
	for range n {
		data, err := set.Encode(renamed{"x"})
		require.NoError(t, err)
		write.Events = append(write.Events, data)
	}
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
	require.NoError(t, err)
	view := projection.NewView("names", projection.ViewOptions{Version: 1},
		projection.When(func(_ *account, _ renamed, m eventstore.Recorded) { seen = append(seen, m.Position) }))
	r := projection.Runner{Log: store, Events: set, Tasks: []projection.Task{projection.Into(memory.NewSink(), view)}}
	require.NoError(t, r.CatchUp(t.Context()))
	require.True(t, slices.IsSorted(seen))
	require.Len(t, seen, n)
	require.EqualValues(t, n, decoded.Load())
}
