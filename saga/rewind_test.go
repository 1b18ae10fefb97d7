package saga_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/saga"
)

// One file has the events and the checkpoints, the other one the instances, and of that a backup.
func TestAfterARestoreOfTheInstancesAloneRewindLosesNothingAndDoesNothingTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "instances.db"), filepath.Join(dir, "backup.db")
	events := openSQLite(t, filepath.Join(dir, "events.db"))
	at := place{store: events, sink: events.Sink()}
	at.deposits(t, "ann", 100)
	works := func(rewind bool, id string) {
		instances, err := sqlite.Open(t.Context(), file, sqlite.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, instances.Close(context.Background())) }()
		w := at.worker(t)
		w.Store, w.Sources = instances, []eventstore.LogReader{events}
		if rewind {
			require.NoError(t, w.Rewind(t.Context()))
		}
		defer runs(t, w)()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		row, err := transfers.Await(ctx, instances, id)
		require.NoError(t, err)
		assert.Equal(t, saga.Completed, row.Phase)
		awaits(t, at, id, saga.Completed)
	}
	at.requests(t, requested{"t1", "ann", "bob", 30})
	works(false, "t1")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(backup, content, 0o600))
	at.requests(t, requested{"t2", "ann", "bob", 20})
	works(false, "t2")

	require.NoError(t, os.Rename(backup, file)) // nobody uses it
	works(true, "t2")
	at.requests(t, requested{"t3", "ann", "bob", 10})
	works(false, "t3")
	assert.EqualValues(t, 40, at.balance(t, "ann"))
	assert.EqualValues(t, 60, at.balance(t, "bob"))
}
