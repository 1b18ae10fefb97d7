package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
)

func TestSnapshots(t *testing.T) {
	t.Parallel()
	aggregatetest.RunSnapshotStore(t, func(t testing.TB) aggregate.SnapshotStore {
		return openOn(t, newPool(t), postgres.Options{}).Snapshots()
	})
}

// With the least rights: to read and to append is not to put snapshots.
func TestOnlyARoleThatMayPutsSnapshots(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	key, snapshot := aggregate.SnapshotKey{Stream: "order-1"}, aggregate.Snapshot{Version: 1, State: []byte("{}")}
	appender := openOn(t, r.as["appender"], postgres.Options{}).Snapshots()
	require.ErrorIs(t, appender.PutSnapshot(t.Context(), key, snapshot), postgres.ErrDenied)
	_, _, err := appender.FindSnapshot(t.Context(), key)
	require.ErrorIs(t, err, postgres.ErrDenied)

	require.NoError(t, postgres.Grant(t.Context(), r.owner, "", "appender", postgres.ToSnapshot))
	require.NoError(t, appender.PutSnapshot(t.Context(), key, snapshot))
	require.NoError(t, appender.PutSnapshot(t.Context(), key, snapshot))
	_, found, err := appender.FindSnapshot(t.Context(), key)
	require.NoError(t, err)
	require.True(t, found)
}

func BenchmarkExecute(b *testing.B) {
	aggregatetest.BenchmarkExecute(b, func(t testing.TB) (aggregate.Store, aggregate.SnapshotStore) {
		store := openOn(t, newPool(t), postgres.Options{})
		return store, store.Snapshots()
	})
}
