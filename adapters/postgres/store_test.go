package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
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
	pool := sharedPool(t)
	schemas := map[eventstore.Store]string{}
	open := func(t testing.TB, schema string) eventstore.Store {
		store := openOn(t, pool, postgres.Options{Schema: schema})
		schemas[store] = schema
		return store
	}
	eventstoretest.RunWith(t,
		func(t testing.TB) eventstore.Store { return open(t, newSchema(t, pool)) },
		eventstoretest.Options{
			Divisor: 10,
			Reopen: func(t testing.TB, store eventstore.Store) eventstore.Store {
				require.NoError(t, store.(*postgres.Store).Close(t.Context()))
				return open(t, schemas[store])
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

// sharedPool returns a pool for the many stores of a suite, each in a [newSchema] of one database: a database
// for each would take five times as long to make, and new connections besides.
func sharedPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	config := newPool(t).Config()
	config.MaxConns = 50
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

var schemas atomic.Int64

// newSchema returns a schema with an empty store, which is dropped with the test.
func newSchema(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	name := fmt.Sprintf("store_%d", schemas.Add(1))
	_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{Schema: name})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := pool.Exec(context.Background(), "DROP SCHEMA "+name+" CASCADE")
		require.NoError(t, err)
	})
	return name
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
