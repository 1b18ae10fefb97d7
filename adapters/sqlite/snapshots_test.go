package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
)

func TestSnapshots(t *testing.T) {
	aggregatetest.RunSnapshotStore(t, func(t testing.TB) aggregate.SnapshotStore { return openStore(t, newPath(t)).Snapshots() })
}

func TestSnapshotsOutliveTheProcess(t *testing.T) {
	path := newPath(t)
	key := aggregate.SnapshotKey{Stream: "order-1"}
	store := openStore(t, path)
	require.NoError(t, store.Snapshots().PutSnapshot(t.Context(), key, aggregate.Snapshot{Version: 7, State: []byte("{}")}))
	require.NoError(t, store.Close(t.Context()))
	snapshot, found, err := openStore(t, path).Snapshots().FindSnapshot(t.Context(), key)
	require.NoError(t, err)
	assert.True(t, found)
	assert.EqualValues(t, 7, snapshot.Version)
}

func BenchmarkExecute(b *testing.B) {
	aggregatetest.BenchmarkExecute(b, func(t testing.TB) (aggregate.Store, aggregate.SnapshotStore) {
		store := openStore(t, newPath(t))
		return store, store.Snapshots()
	})
}
