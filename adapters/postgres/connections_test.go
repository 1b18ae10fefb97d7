package postgres

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
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
	require.Eventually(t, func() bool { return store.db.pool.Stat().AcquiredConns() >= 2 }, testPatience, testStep)
	_, err := store.Append(t.Context(), oneOf("order-1"))
	stop()
	require.NoError(t, err)
	all.Wait()
}
