package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

func open(testing.TB) eventstore.Store { return memory.NewStore() }

func TestConformance(t *testing.T) { eventstoretest.Run(t, open) }

func BenchmarkStore(b *testing.B) { eventstoretest.Benchmark(b, open) }

func placed(data string) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{
		{Type: "order.placed", Data: []byte(data), Metadata: []byte(data), Tags: []eventstore.Tag{"order:1"}},
	}}}}
}

// The suite proves the copy on the way in; this is the one on the way out.
func TestAReaderMayChangeWhatItGot(t *testing.T) {
	store := memory.NewStore()
	_, err := store.Append(t.Context(), placed("original"))
	require.NoError(t, err)
	for range 2 {
		for e, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
			require.NoError(t, err)
			require.Equal(t, "original original order:1", string(e.Data)+" "+string(e.Metadata)+" "+string(e.Tags[0]))
			copy(e.Data, "SCRIBBLE")
			copy(e.Metadata, "SCRIBBLE")
			e.Tags[0] = "scribble:1"
		}
	}
}

func TestACallerMayChangeItsReceipt(t *testing.T) {
	store := memory.NewStore()
	request := placed("a")
	request.Command.ID = eventstore.NewCommandID("place")
	for range 3 {
		receipt, err := store.Append(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, map[eventstore.StreamID]eventstore.Version{"order-1": 1}, receipt.Versions)
		receipt.Versions["order-1"] = 99
	}
}

func TestOptions(t *testing.T) {
	at := time.Date(2010, 12, 1, 8, 26, 0, 1234, time.FixedZone("there", 3600))
	store := memory.NewStoreWith(memory.StoreOptions{
		Limits: eventstore.Limits{EventBytes: 8},
		Now:    func() time.Time { return at },
	})
	_, err := store.Append(t.Context(), placed("12345"))
	require.ErrorIs(t, err, eventstore.ErrTooLarge)
	_, err = store.Append(t.Context(), placed("1234"))
	require.NoError(t, err)
	for e, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
		require.NoError(t, err)
		require.Equal(t, time.Date(2010, 12, 1, 7, 26, 0, 1000, time.UTC), e.RecordedAt)
	}
}

func TestAClosedStoreCanStillBeRead(t *testing.T) {
	store := memory.NewStore()
	_, err := store.Append(t.Context(), placed("a"))
	require.NoError(t, err)
	require.NoError(t, store.Close(t.Context()))
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(1), head.Position)
}

// A waiter must block durably, or virtual time stands still for every test that has one.
func TestWaitingWorksInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewStore()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		woken := make(chan error)
		go func() { woken <- store.WaitAppended(ctx, 0) }()
		synctest.Wait()
		_, err := store.Append(ctx, placed("a"))
		require.NoError(t, err)
		require.NoError(t, <-woken)
		require.ErrorIs(t, store.WaitAppended(ctx, 1), context.DeadlineExceeded)
	})
}

// A loop that is cancelled half-way ends with the error, after the event it was at.
func TestAReadEndsWhenItsContextDoes(t *testing.T) {
	store := memory.NewStore()
	for range 3 {
		_, err := store.Append(t.Context(), placed("a"))
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, err := store.ReadLog(ctx, eventstore.LogQuery{})
	require.NoError(t, err)
	var seen []error
	for _, err := range read.Events() {
		seen = append(seen, err)
		cancel()
	}
	require.Len(t, seen, 2)
	require.NoError(t, seen[0])
	require.ErrorIs(t, seen[1], context.Canceled)
}

func TestSnapshots(t *testing.T) {
	aggregatetest.RunSnapshotStore(t, func(testing.TB) aggregate.SnapshotStore { return memory.NewSnapshots() })
}

func BenchmarkExecute(b *testing.B) {
	aggregatetest.BenchmarkExecute(b, func(testing.TB) (aggregate.Store, aggregate.SnapshotStore) {
		return memory.NewStore(), memory.NewSnapshots()
	})
}
