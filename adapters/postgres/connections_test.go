package postgres

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// openWith opens a store that is closed with the test.
func openWith(t *testing.T, pool *pgxpool.Pool, o Options) *Store {
	t.Helper()
	store, err := Open(t.Context(), pool, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store
}

func oneOf(stream eventstore.StreamID) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: "order.placed"}}}}}
}

// The appender is not connected before the first append: readers who take every connection
// until then must leave it one.
func TestReadersTakeNoConnectionFromTheAppender(t *testing.T) {
	store := openWith(t, internalPool(t), Options{Readers: 2})
	reading, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			_ = store.db.do(reading, func(on session) error {
				_, err := on.conn.Exec(reading, "SELECT pg_sleep(60)")
				return err
			})
		})
	}
	require.Eventually(t, func() bool { return store.db.pool.Stat().AcquiredConns() >= 2 }, TestPatience, TestStep)
	_, err := store.Append(t.Context(), oneOf("order-1"))
	stop()
	require.NoError(t, err)
	all.Wait()
}

// A dump that is restored over an open store makes every type and plan anew that its sessions
// know. Each session may fail once, and not for ever.
func TestAStoreGoesOnAfterItsSchemaWasRestoredUnderIt(t *testing.T) {
	server, err := testservers.SharedPostgres()
	if err != nil {
		internalPool(t) // skips, or fails
	}
	pool := internalPool(t)
	store := openWith(t, pool, Options{})
	for range 3 {
		_, err := store.Append(t.Context(), oneOf("order-1"))
		require.NoError(t, err)
	}
	read := func() (events int, err error) {
		for _, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
			if err != nil {
				return events, err
			}
			events++
		}
		return events, nil
	}
	_, err = read()
	require.NoError(t, err)

	database := pool.Config().ConnConfig.Database
	dump, err := server.Dump(t.Context(), database)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "DROP SCHEMA leftfold CASCADE")
	require.NoError(t, err)
	require.NoError(t, server.Load(t.Context(), database, dump))

	if _, err := store.Append(t.Context(), oneOf("order-1")); err != nil {
		require.ErrorIs(t, err, eventstore.ErrStoreBusy, "which says to try again")
	}
	_, err = store.Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	if _, err := read(); err != nil {
		require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	}
	events, err := read()
	require.NoError(t, err)
	require.GreaterOrEqual(t, events, 4)
}

func TestAnotherStoreThatTookThePlaceOfTheOpenOneIsRefused(t *testing.T) {
	pool := internalPool(t)
	store := openWith(t, pool, Options{})
	_, err := store.Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "DROP SCHEMA leftfold CASCADE")
	require.NoError(t, err)
	_, err = Migrate(t.Context(), pool, MigrateOptions{})
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	require.NoError(t, err)
	_, err = store.Append(t.Context(), oneOf("order-1"))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "it was sent, and the store that got it cannot be asked")
	_, err = store.Append(t.Context(), oneOf("order-1"))
	require.ErrorIs(t, err, ErrOtherDatabase)
	var events int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events").Scan(&events))
	require.Zero(t, events)
}
