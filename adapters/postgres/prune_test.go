package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

// named is one event under a command id.
func named(id string) eventstore.AppendRequest {
	request := oneEvent("order-1")
	request.Command.ID = eventstore.NewCommandID(id)
	return request
}

func countCommands(t *testing.T, pool *pgxpool.Pool, where string) (n int64) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.commands WHERE "+where).Scan(&n))
	return n
}

// A clock that is set back makes younger commands look older. Times decide nothing behind the
// first id that is to be kept; by themselves they would have two more forgotten.
func TestPruningGoesByPositionWhereTheClockWasSetBack(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	for _, id := range []string{"first", "second", "kept", "set back"} {
		_, err := store.Append(t.Context(), named(id))
		require.NoError(t, err)
	}
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Command: eventstore.Command{ID: eventstore.NewCommandID("set back, of no events")}})
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `SET session_replication_role = replica;
		UPDATE leftfold.commands SET recorded_at = '2026-11-26T12:00:00Z'::timestamptz - CASE position WHEN 3 THEN 0 ELSE 9 - position END * interval '1 h'`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	require.EqualValues(t, 4, countCommands(t, pool, "recorded_at < '2026-11-26T12:00:00Z'"))

	pruned, err := store.PruneCommands(t.Context(), time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.EqualValues(t, 2, pruned)
	require.EqualValues(t, 3, countCommands(t, pool, "position >= 3"))
	require.EqualValues(t, 3, countCommands(t, pool, "true"))
}

// The table is some 400 blocks long: four transactions.
func TestPruningGoesThroughAllOfALongTable(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	_, err := pool.Exec(t.Context(), `INSERT INTO leftfold.commands (command_id, hash, position, versions, recorded_at)
		SELECT md5(n::text)::uuid, md5('')::uuid, n, '{}', now() - interval '1 day' * (30000 - n) FROM generate_series(1, 30000) n`)
	require.NoError(t, err)
	pruned, err := store.PruneCommands(t.Context(), time.Now().Add(-99*24*time.Hour-time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 29900, pruned)
	require.EqualValues(t, 100, countCommands(t, pool, "position > 29900"))
	require.EqualValues(t, 100, countCommands(t, pool, "true"))
}

// Until the pruning is committed the id is known, and from then on it is not; nobody waits for it.
func TestAnAppendDoesNotWaitForAPruning(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	first, err := store.Append(t.Context(), named("old"))
	require.NoError(t, err)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	var pruned int64
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT leftfold.prune_commands(9, now() + interval '1 h', 0, 9)").Scan(&pruned))
	require.EqualValues(t, 1, pruned)

	again, err := store.Append(t.Context(), named("old"))
	require.NoError(t, err)
	require.True(t, again.Repeated)
	require.Equal(t, first.Token, again.Token)
	_, err = store.Append(t.Context(), named("another"))
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	again, err = store.Append(t.Context(), named("old"))
	require.NoError(t, err)
	require.False(t, again.Repeated)
	require.EqualValues(t, 3, again.Token.Position)
}

func TestOnlyTheOwnerPrunes(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	store := openOn(t, r.owner, postgres.Options{})
	_, err := store.Append(t.Context(), named("old"))
	require.NoError(t, err)
	later := time.Now().Add(time.Hour)
	for _, role := range []string{"appender", "reader"} {
		_, err := openOn(t, r.as[role], postgres.Options{}).PruneCommands(t.Context(), later)
		require.ErrorIs(t, err, postgres.ErrDenied, role)
	}
	// What lets the owner's function pass lets nobody else pass, nor anything else.
	for _, attack := range []struct{ role, sql, want string }{
		{"appender", "DELETE FROM leftfold.commands", "42501"},
		{"owner", "UPDATE leftfold.commands SET position = 7", "LF001"},
		{"owner", "TRUNCATE leftfold.commands", "LF001"},
		{"owner", "DELETE FROM leftfold.events", "LF001"},
	} {
		tx, err := r.as[attack.role].Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SET LOCAL leftfold_commands.prune = 'on'")
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), attack.sql)
		failure, _ := errors.AsType[*pgconn.PgError](err)
		require.NotNil(t, failure, attack.sql)
		require.Equal(t, attack.want, failure.Code, attack.sql)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	pruned, err := store.PruneCommands(t.Context(), later)
	require.NoError(t, err)
	require.EqualValues(t, 1, pruned)
	tx, err := r.owner.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT leftfold.prune_commands(9, now(), 0, 9)")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "DELETE FROM leftfold.commands")
	failure, _ := errors.AsType[*pgconn.PgError](err)
	require.NotNil(t, failure, "what lets it pass ends with the function")
	require.Equal(t, "LF001", failure.Code)
	require.NoError(t, tx.Rollback(t.Context()))
}
