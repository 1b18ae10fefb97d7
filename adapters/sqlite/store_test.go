package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

func TestConformance(t *testing.T) {
	paths := map[eventstore.Store]string{}
	open := func(t testing.TB, path string) eventstore.Store {
		store := openStore(t, path)
		paths[store] = path
		return store
	}
	eventstoretest.RunWith(t,
		func(t testing.TB) eventstore.Store { return open(t, newPath(t)) },
		eventstoretest.Options{
			Divisor: 10,
			Reopen: func(t testing.TB, store eventstore.Store) eventstore.Store {
				require.NoError(t, store.(*sqlite.Store).Close(t.Context()))
				return open(t, paths[store])
			},
		})
}

func BenchmarkStore(b *testing.B) {
	eventstoretest.Benchmark(b, func(t testing.TB) eventstore.Store { return openStore(t, newPath(t)) })
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "leftfold.db") }

// openStore opens a store that is closed with the test.
func openStore(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	return openWith(t, path, sqlite.Options{})
}

func openWith(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) }) // the test's own context is over by then
	return store
}
