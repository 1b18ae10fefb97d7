package postgres

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// Events that share a block do not share their bytes: what a caller appends to one of them
// does not reach the next.
func TestEventsOfAPageDoNotShareTheirBytes(t *testing.T) {
	var a arena
	type payload struct{ metadata, data []byte }
	var taken []payload
	sizes := []int{0, 1, 7, 100, firstBlock, lastBlock / 4, lastBlock, 3}
	for round := range 5 {
		for n, size := range sizes {
			m, d := a.cloned(bytes.Repeat([]byte{byte(n)}, size/3), bytes.Repeat([]byte{byte(16*round + n)}, size))
			require.Equal(t, len(d), cap(d))
			require.Equal(t, len(m), cap(m))
			require.NotNil(t, d)
			require.Equal(t, size < 3, m == nil)
			taken = append(taken, payload{m, d})
		}
	}
	for _, p := range taken {
		_, _ = append(p.metadata, 255), append(p.data, 255)
	}
	for at, p := range taken {
		n := at % len(sizes)
		require.Equal(t, bytes.Repeat([]byte{byte(16*(at/len(sizes)) + n)}, sizes[n]), p.data)
		require.Len(t, p.metadata, sizes[n]/3)
	}
}

// The memory of a page is used again, but not that of the events that a loop has kept, nor
// the first page of a read of the log, which may be looped over again.
func TestWhatALoopKeepsIsNotOverwritten(t *testing.T) {
	t.Parallel()
	pool := internalPool(t)
	store := openInternal(t, pool)
	const events = 3*pageEvents + 10
	for first := 0; first < events; first += 5000 {
		request := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1"}}}
		for n := first; n < min(first+5000, events); n++ {
			id := bigint(int64(n + 1))
			request.Writes[0].Events = append(request.Writes[0].Events, eventstore.EventData{Type: "a.b", Data: id, Metadata: id, Tags: []eventstore.Tag{eventstore.NewTag("n", string(rune('a'+n%26)))}})
		}
		_, err := store.Append(t.Context(), request)
		require.NoError(t, err)
	}
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for range 2 {
		var kept []eventstore.Recorded
		for e, err := range read.Events() {
			require.NoError(t, err)
			kept = append(kept, e)
		}
		for e, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
			require.NoError(t, err)
			kept = append(kept, e)
		}
		require.Len(t, kept, 2*events)
		for n, e := range kept {
			n %= events
			if !bytes.Equal(e.Data, bigint(int64(n+1))) || !bytes.Equal(e.Metadata, e.Data) || int(e.Position) != n+1 || e.Tags[0] != eventstore.NewTag("n", string(rune('a'+n%26))) {
				require.Failf(t, "event was overwritten", "%d: %+v", n, e)
			}
		}
	}
}
