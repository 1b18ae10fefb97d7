package testservers_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/testservers"
)

func pgBouncer(t *testing.T, options testservers.PgBouncerOptions) (bouncer *testservers.PgBouncer, database string) {
	t.Helper()
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	database, err = server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	bouncer, err = testservers.StartPgBouncer(t.Context(), server, options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, bouncer.Stop(context.Background())) })
	return bouncer, database
}

// bounced connects as one has to: PgBouncer 1.18 knows nothing of prepared statements.
func bounced(t *testing.T, bouncer *testservers.PgBouncer, database string) *pgx.Conn {
	t.Helper()
	return connect(t, bouncer.URL(database)+"&default_query_exec_mode=exec")
}

const backend = "SELECT pg_backend_pid()"

func TestClientsOfATransactionPoolTakeTurnsOnOneConnection(t *testing.T) {
	t.Parallel()
	bouncer, database := pgBouncer(t, testservers.PgBouncerOptions{PoolSize: 1})
	one, two := bounced(t, bouncer, database), bounced(t, bouncer, database)
	assert.Equal(t, value[int](t, one, backend), value[int](t, two, backend))
}

func TestClientsOfASessionPoolKeepTheirConnection(t *testing.T) {
	t.Parallel()
	bouncer, database := pgBouncer(t, testservers.PgBouncerOptions{Mode: "session"})
	one, two := bounced(t, bouncer, database), bounced(t, bouncer, database)
	assert.NotEqual(t, value[int](t, one, backend), value[int](t, two, backend))
}

func TestAKilledPgBouncerEndsItsClientsAndStartsAgain(t *testing.T) {
	t.Parallel()
	bouncer, database := pgBouncer(t, testservers.PgBouncerOptions{Settings: map[string]string{"query_timeout": "60"}})
	before := bounced(t, bouncer, database)
	assert.Positive(t, value[int](t, before, backend))
	require.NoError(t, bouncer.Kill(t.Context()))
	require.Error(t, before.Ping(t.Context()))
	require.NoError(t, bouncer.Start(t.Context()))
	assert.Positive(t, value[int](t, bounced(t, bouncer, database), backend))
}
