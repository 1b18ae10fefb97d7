package postgres_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

// A page is cut where it is large enough, and the rest of its rows is sent for nothing. Once
// that has happened the pages behind it ask for less: the log is sent twice, not once a page.
func TestTortureALogOfLargeEventsIsSentAtMostTwice(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	writer := openOn(t, pool, postgres.Options{})
	const events, size = 400, 200 << 10
	for n := 0; n < events; n += 100 {
		appendSized(t, writer, 100, size)
	}
	appendSized(t, writer, 8000, 10)
	store, received := openCounted(t, pool)
	for name, read := range map[string]func(context.Context) (int, error){
		"all":     logReading(store, eventstore.Query{}),
		"by type": logReading(store, eventstore.Types("order.placed")),
		"by tag":  logReading(store, eventstore.Tagged("a:1")),
		"a stream": func(ctx context.Context) (int, error) {
			return count(store.ReadStream(ctx, "order-1", eventstore.StreamRange{}))
		},
		"backwards": func(ctx context.Context) (int, error) {
			return count(store.ReadStream(ctx, "order-1", eventstore.StreamRange{Backwards: true}))
		},
	} {
		before := received.Load()
		seen, err := read(t.Context())
		require.NoError(t, err)
		require.Equal(t, events+8000, seen)
		require.Less(t, received.Load()-before, int64(5*events*size/2), name)
	}
}

func appendSized(t *testing.T, store *postgres.Store, n, size int) {
	t.Helper()
	events := make([]eventstore.EventData, n)
	for i := range events {
		events[i] = eventstore.EventData{Type: "order.placed", Tags: []eventstore.Tag{"a:1"}, Data: make([]byte, size)}
	}
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: events}}})
	require.NoError(t, err)
}

// openCounted opens a store that counts the bytes it gets from the server.
func openCounted(t *testing.T, pool *pgxpool.Pool) (store *postgres.Store, received *atomic.Int64) {
	t.Helper()
	received = new(atomic.Int64)
	config := pool.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return counted{conn, received}, err
	}
	through, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(through.Close)
	return openOn(t, through, postgres.Options{}), received
}

type counted struct {
	net.Conn
	received *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

// A limit on all events is known to end at a position. Looking for it would send the log twice.
func TestALimitedReadOfAllEventsIsSentOnce(t *testing.T) {
	pool := newPool(t)
	appendSized(t, openOn(t, pool, postgres.Options{}), 9500, 100)
	store, received := openCounted(t, pool)
	before := received.Load()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{After: 100, Limit: 9000})
	require.NoError(t, err)
	seen, err := count(read.Events())
	require.NoError(t, err)
	require.Equal(t, 9000, seen)
	require.EqualValues(t, 9100, read.Through.Position)
	require.EqualValues(t, 9500, read.Head)
	require.Less(t, received.Load()-before, int64(9000*250))
}
