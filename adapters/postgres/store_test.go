package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	pools := map[eventstore.Store]*pgxpool.Pool{}
	open := func(t testing.TB, pool *pgxpool.Pool) eventstore.Store {
		store := openOn(t, pool, postgres.Options{})
		pools[store] = pool
		return store
	}
	eventstoretest.RunWith(t,
		func(t testing.TB) eventstore.Store { return open(t, newPool(t)) },
		eventstoretest.Options{
			Divisor: 10,
			Reopen: func(t testing.TB, store eventstore.Store) eventstore.Store {
				require.NoError(t, store.(*postgres.Store).Close(t.Context()))
				return open(t, pools[store])
			},
		})
}

func BenchmarkStore(b *testing.B) {
	eventstoretest.Benchmark(b, func(t testing.TB) eventstore.Store { return openOn(t, newPool(t), postgres.Options{}) })
}

// newPool returns a pool on a database of its own that has an empty store.
func newPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return postgrestest.Pool(t)
}

func poolOn(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// openOn opens a store that is closed with the test.
func openOn(t testing.TB, pool *pgxpool.Pool, o postgres.Options) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), pool, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) }) // the test's own context is over by then
	return store
}
