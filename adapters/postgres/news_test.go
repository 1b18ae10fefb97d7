package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

// Two sinks on one schema are as two processes are: they share nothing but the server.
func TestAReaderIsWokenByACommitElsewhere(t *testing.T) {
	pool := newPool(t)
	reader := openSinkOn(t, pool)
	reader.Changed() // listens from now on
	require.Eventually(t, func() bool { return sessions(t, pool, "LISTEN leftfold_models") == 1 }, postgres.TestPatience, postgres.TestStep)

	requireWoken(t, reader, projecting(t, pool, openSinkOn(t, pool)))
}

// requireWoken requires that each commit wakes who waits at the sink. The first time it may be
// that the sink has begun to listen.
func requireWoken(t *testing.T, reader *postgres.Sink, commit func()) {
	t.Helper()
	for n := range 3 {
		changed := reader.Changed()
		commit()
		select {
		case <-changed:
		case <-time.After(postgres.TestPatience):
			require.Failf(t, "nobody was told", "of commit %d", n+1)
		}
	}
}

func TestBehindPgBouncerCommitsAreToldButNotHeard(t *testing.T) {
	pool := newPool(t)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	pooled := openSinkOn(t, poolOn(t, bouncer.URL(pool.Config().ConnConfig.Database)))
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	pooled.Changed()

	reader := openSinkOn(t, pool)
	reader.Changed()
	require.Eventually(t, func() bool { return sessions(t, pool, "LISTEN leftfold_models") == 1 }, postgres.TestPatience, postgres.TestStep)
	requireWoken(t, reader, projecting(t, pool, pooled))
	require.Equal(t, 1, sessions(t, pool, "LISTEN leftfold_models"))
}

// projecting returns a function that appends an event and brings a view in the sink to it.
func projecting(t *testing.T, pool *pgxpool.Pool, sink projection.Sink) (project func()) {
	store := openOn(t, pool, postgres.Options{})
	runner := projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(sink, tallies(1))}}
	return func() {
		sell(t, store, 1)
		require.NoError(t, runner.CatchUp(t.Context()))
	}
}

// sessions counts those of the database whose last statement it was.
func sessions(t *testing.T, pool *pgxpool.Pool, statement string) (count int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = $1`, statement).Scan(&count))
	return count
}
