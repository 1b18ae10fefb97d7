package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/testservers"
)

// The whole suite, through PgBouncer in transaction mode: two connections to the server are
// shared by all of ours, nothing prepared survives a transaction, and no notification comes.
func TestTortureConformanceThroughPgBouncer(t *testing.T) {
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		direct := newPool(t).Config().ConnConfig
		return openOn(t, poolOn(t, bouncer.URL(direct.Database)+"&default_query_exec_mode=exec"), postgres.Options{})
	}, eventstoretest.Options{Divisor: 30})
}

func TestBehindPgBouncerADirectConnectionListens(t *testing.T) {
	pool := newPool(t)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	direct := pool.Config().ConnConfig
	for name, listen := range map[string]postgres.Options{"polling": {}, "listening": {Listen: direct}} {
		t.Run(name, func(t *testing.T) {
			store := openOn(t, poolOn(t, bouncer.URL(direct.Database)), listen)
			rival := openOn(t, pool, postgres.Options{})
			before := headOf(t, store)
			woken := make(chan error, 1)
			go func() { woken <- store.WaitAppended(t.Context(), before) }()
			if listen.Listen != nil {
				require.Eventually(t, func() bool { return listeners(t, pool) == 1 }, postgres.TestPatience, postgres.TestStep)
			}
			var all sync.WaitGroup
			errs := make([]error, 8)
			for n := range errs {
				all.Go(func() {
					_, errs[n] = rival.Append(t.Context(), oneEvent(eventstore.NewStreamID("order", fmt.Sprint(n))))
				})
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			require.NoError(t, <-woken)
			if listen.Listen == nil {
				require.Eventually(t, func() bool { return listeners(t, pool) == 0 }, postgres.TestPatience, postgres.TestStep) // the other case's may be ending
			}
		})
	}
}

// listeners counts the sessions of the database that listen for the default schema.
func listeners(t *testing.T, pool *pgxpool.Pool) (count int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN "leftfold"'`).Scan(&count))
	return count
}
