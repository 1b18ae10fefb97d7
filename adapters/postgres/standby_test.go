package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

// Whoever cancels the wait for a synchronous standby commits the batch on this server alone. It
// must not be acknowledged: the standby that takes over may lack it.
func TestACommitThatDidNotWaitForItsStandbyIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	pool := poolOn(t, server.URL("postgres"))
	_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	store := openOn(t, pool, postgres.Options{})
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)

	loseStandby(t, pool)
	answer := make(chan error, 1)
	go func() {
		_, err := store.Append(t.Context(), oneEvent("order-2"))
		answer <- err
	}()
	pid := awaitWaiting(t, pool, 0)
	_, err = pool.Exec(t.Context(), "SELECT pg_cancel_backend($1)", pid)
	require.NoError(t, err)

	awaitWaiting(t, pool, pid) // the batch is in the log; the fence that asks what became of it waits now
	require.EqualValues(t, 2, headOf(t, store))
	require.Empty(t, answer)
	findStandby(t, pool)
	require.NoError(t, <-answer, "the server's commits are as durable as they should be again")
	require.EqualValues(t, 2, headOf(t, store))
}

func TestAStandbyThatStaysAwayLeavesTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	pool := poolOn(t, server.URL("postgres"))
	_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	store := openOn(t, pool, postgres.Options{})
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)

	loseStandby(t, pool)
	store.SetPatience(time.Second/2, time.Second, time.Second)
	_, err = store.Append(t.Context(), oneEvent("order-2"))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	findStandby(t, pool)
	_, err = store.Append(t.Context(), oneEvent("order-3"))
	require.NoError(t, err)
}

// A NOTIFY in another database of the server, whose commit waits for a standby, holds up every
// commit that notifies. Appends are refused after a while, and not left to hang.
func TestANotifyInAnotherDatabaseThatHangsMakesTheStoreBusy(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	elsewhere := poolOn(t, server.URL("postgres"))
	name, err := server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	_, err = elsewhere.Exec(t.Context(), "ALTER DATABASE "+name+" SET synchronous_commit = local") // ours waits for no standby
	require.NoError(t, err)
	pool := poolOn(t, server.URL(name))
	_, err = postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	store := openOn(t, pool, postgres.Options{})
	loseStandby(t, elsewhere)
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)

	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		_, _ = elsewhere.Exec(t.Context(), "SELECT pg_notify('unrelated', ''), pg_logical_emit_message(true, 'test', 'a commit')") // it is canceled below
	})
	pid := awaitWaiting(t, elsewhere, 0)
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.EqualValues(t, 1, headOf(t, store))
	_, err = elsewhere.Exec(t.Context(), "SELECT pg_cancel_backend($1)", pid)
	require.NoError(t, err)
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	findStandby(t, elsewhere)
}

// loseStandby makes every commit of the server wait for a standby that is not there, and
// returns when they do: the server learns of a new setting in its own time.
func loseStandby(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	setStandbys(t, pool, "'gone'")
	var all sync.WaitGroup
	all.Go(func() {
		for {
			if _, err := pool.Exec(t.Context(), "SELECT pg_logical_emit_message(true, 'test', 'a commit')"); err != nil {
				return // it has waited, and was terminated
			}
		}
	})
	_, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend($1)", awaitWaiting(t, pool, 0))
	require.NoError(t, err)
	all.Wait()
}

func findStandby(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	setStandbys(t, pool, "''")
}

func setStandbys(t *testing.T, pool *pgxpool.Pool, names string) {
	t.Helper()
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = " + names, "SELECT pg_reload_conf()"} {
		_, err := pool.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
}

// awaitWaiting returns a process of the server whose commit waits for a standby.
func awaitWaiting(t *testing.T, pool *pgxpool.Pool, notThis int) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return pool.QueryRow(t.Context(), "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> $1", notThis).Scan(&pid) == nil
	}, postgres.TestPatience, postgres.TestStep)
	return pid
}
