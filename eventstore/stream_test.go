package eventstore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// Stores keep slices on disk: these values must never change. They were checked
// against an implementation in another language.
func TestSliceOfIsFrozen(t *testing.T) {
	for key, want := range map[string]eventstore.Slice{
		"": 294, "a": 603, "order-1": 421, "order-2": 939, "customer-17850": 874,
		"\u65e5\u672c-1": 502, "order-e\u0301": 885, "a-much-longer-name-of-a-stream-0123456789": 359,
	} {
		require.Equal(t, want, eventstore.SliceOf(key), "slice of %q", key)
	}
	require.Equal(t, eventstore.SliceOf("order-1"), eventstore.StreamID("order-1").Slice())
}

func TestSlicesAreUsedEvenly(t *testing.T) {
	const keys = 100 * eventstore.Slices
	counts := make([]int, eventstore.Slices)
	for n := range keys {
		counts[eventstore.SliceOf(fmt.Sprintf("order-%d", n))]++
	}
	for slice, count := range counts {
		require.InDelta(t, 100, count, 60, "keys in slice %d", slice) // six standard deviations
	}
}

func TestStreamIDSplitsAtTheFirstDash(t *testing.T) {
	id := eventstore.NewStreamID("order", "2011-12-09")
	require.Equal(t, eventstore.StreamID("order-2011-12-09"), id)
	require.Equal(t, "order", id.Category())
	require.Equal(t, "2011-12-09", id.ID())
}

func TestExactlyZeroIsNoStream(t *testing.T) {
	require.Equal(t, eventstore.NoStream, eventstore.Exactly(0))
	require.Zero(t, eventstore.Any)
}

func TestExpectedVersionAccepts(t *testing.T) {
	for _, c := range []struct {
		expected eventstore.ExpectedVersion
		words    string
		accepts  [4]bool // a stream at version 0, 1, 2, 3
	}{
		{eventstore.Any, "any version", [4]bool{true, true, true, true}},
		{eventstore.NoStream, "no stream", [4]bool{true, false, false, false}},
		{eventstore.StreamExists, "an existing stream", [4]bool{false, true, true, true}},
		{eventstore.Exactly(2), "version 2", [4]bool{false, false, true, false}},
	} {
		require.Equal(t, c.words, c.expected.String())
		for actual, want := range c.accepts {
			require.Equal(t, want, c.expected.Accepts(eventstore.Version(actual)), "%s at %d", c.words, actual)
		}
	}
}
