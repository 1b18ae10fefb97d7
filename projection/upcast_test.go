package projection_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// movedInBulk stood for many moves once.
type movedInBulk struct{ Moves []moved }

func bulk(t testing.TB, moves int, format codec.Format) (*memory.Store, *codec.Set) {
	t.Helper()
	set, err := codec.NewSet(
		codec.Event[moved]("moved", codec.In(format)),
		codec.Retired("moved.bulk", codec.In(format), codec.UpcastEach(1, func(old movedInBulk) ([]moved, error) { return old.Moves, nil })))
	require.NoError(t, err)
	var text []string
	for n := range moves {
		text = append(text, fmt.Sprintf(`{"From":"s%d","To":"s%d","Labels":["l%d"]}`, n%7, (n+1)%7, n))
	}
	store := memory.NewStore()
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "book-1", Events: []eventstore.EventData{{Type: "moved.bulk", Data: []byte(`{"Moves":[` + strings.Join(text, ",") + `]}`)}},
	}}})
	require.NoError(t, err)
	return store, set
}

// One event stands for many, each of which touches two rows that keep what it refers to. The rows
// are those of as many events, and what it costs grows as their number does, not as its square.
func TestManyEventsOfOneShareNothing(t *testing.T) {
	const n = 40
	plain, set := moves(t, n)
	sink := memory.NewSink()
	r := projection.Runner{Log: plain, Events: set, Tasks: []projection.Task{projection.Into(sink, shelves)}}
	require.NoError(t, r.CatchUp(t.Context()))
	want := shelfRows(t, sink)

	format := tallying{new(atomic.Int32)}
	store, set := bulk(t, n, format)
	sink = memory.NewSink()
	w := worker(t, store, projection.Into(sink, shelves))
	w.Events, w.Segments = set, 4
	working(t, w)
	require.Eventually(t, caughtUp(t, store, sink, shelves.Generation()), soon, often)
	require.Equal(t, want, shelfRows(t, sink))
	require.LessOrEqual(t, format.decoded.Load(), int32(4*(1+2*n)), "payloads decoded")
}

// An upcast to another event changes what a view has passed by.
func TestAViewIsBuiltAnewWhenItsEventsHadAnotherName(t *testing.T) {
	store, set := bulk(t, 3, tallying{new(atomic.Int32)})
	before, err := codec.NewSet(codec.Event[moved]("moved"))
	require.NoError(t, err)
	sink := memory.NewSink()
	r := projection.Runner{Log: store, Events: before, Tasks: []projection.Task{projection.Into(sink, shelves)}}
	require.NoError(t, r.CatchUp(t.Context()))
	require.Empty(t, shelfRows(t, sink), "it knows of no bulk")

	r.Events = set
	require.ErrorIs(t, r.CatchUp(t.Context()), projection.ErrDefinitionChanged)
}
