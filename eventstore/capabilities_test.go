package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
)

func TestTheZeroCapabilitiesAreTheWholeContract(t *testing.T) {
	var whole eventstore.Capabilities
	require.NoError(t, whole.Check(eventstore.AppendRequest{
		Writes: []eventstore.Write{{Stream: "order-1"}, {Stream: "order-2"}}, Condition: &eventstore.Condition{},
	}))
	require.False(t, whole.Excludes(eventstore.Deletion))
	require.Equal(t, eventstore.WholeStore, whole.CommandScope)
	require.Equal(t, eventstore.Polled, whole.Wakeups)
}

func TestAnAppendThatNeedsAnExcludedPartIsNamedSo(t *testing.T) {
	event := []eventstore.EventData{{Type: "a"}}
	plain := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: event}}}
	for part, request := range map[eventstore.Part]eventstore.AppendRequest{
		eventstore.Conditions:     {Writes: plain.Writes, Condition: &eventstore.Condition{}},
		eventstore.SeveralStreams: {Writes: []eventstore.Write{{Stream: "order-1", Events: event}, {Stream: "order-2"}}},
		eventstore.EmptyAppends:   {Writes: []eventstore.Write{{Stream: "order-1"}}},
	} {
		can := eventstore.Capabilities{Excluded: []eventstore.Part{part}}
		require.NoError(t, can.Check(plain), part)
		err := can.Check(request)
		require.ErrorIs(t, err, eventstore.ErrUnsupported)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, string(part))
	}
}

// A wrapper that embeds the interface hides what the store within can do.
func TestAStoreThatDoesNotSayIsHeldToTheContract(t *testing.T) {
	can, err := eventstore.CapabilitiesOf(t.Context(), struct{ eventstore.Store }{memory.NewStore()})
	require.NoError(t, err)
	require.Equal(t, eventstore.Capabilities{Excluded: []eventstore.Part{eventstore.Deletion, eventstore.Pruning, eventstore.Importing}}, can)
	can, err = eventstore.CapabilitiesOf(t.Context(), struct {
		eventstore.Store
		eventstore.StreamDeleter
		eventstore.CommandPruner
		eventstore.Portable
	}{})
	require.NoError(t, err)
	require.Zero(t, can)
}

// What a status page shows of a store.
func ExampleCapabilitiesOf() {
	can, err := eventstore.CapabilitiesOf(context.Background(), memory.NewStore())
	if err != nil {
		panic(err)
	}
	fmt.Println("takes appends:", !can.ReadOnly)
	fmt.Println("keeps them through a crash:", !can.Volatile)
	fmt.Println("wakes readers:", can.Wakeups)
	fmt.Println("appends to several streams:", !can.Excludes(eventstore.SeveralStreams))
	for _, note := range can.Notes {
		fmt.Println("note:", note)
	}
	// Output:
	// takes appends: true
	// keeps them through a crash: false
	// wakes readers: in process
	// appends to several streams: true
	// note: events are kept until the process ends
}
