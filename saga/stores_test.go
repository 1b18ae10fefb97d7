package saga_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// place is where sagas live in a test: a store and a sink.
type place struct {
	name  string
	store eventstore.Store
	sink  projection.Sink
}

// everywhere runs a test on every store.
func everywhere(t *testing.T, test func(t *testing.T, at place)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, place{"memory", memory.NewStore(), memory.NewSink()})
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		store := openSQLite(t, filepath.Join(t.TempDir(), "sagas.db"))
		test(t, place{"sqlite", store, store.Sink()})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		store := postgrestest.Open(t)
		test(t, place{"postgres", store, store.Sink()})
	})
}

func openSQLite(t testing.TB, path string) *sqlite.Store {
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store
}
