package postgres

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/pgproxy"
	"github.com/leftfold/leftfold/internal/testservers"
)

// A batch may hang in some buffer on its way, be given up and made again through another
// connection, and then arrive. The fence refuses it.
func TestABatchThatWasGivenUpIsRefusedWhenItArrives(t *testing.T) {
	arrivals := arriveLate(t, func(*pgxpool.Pool) {})
	require.Equal(t, 1, arrivals)
}

// TestMutantWithoutAFenceAppendsTwice proves that the batch above does arrive: where the
// fence is removed before, its events are there a second time.
func TestMutantWithoutAFenceAppendsTwice(t *testing.T) {
	arrivals := arriveLate(t, func(pool *pgxpool.Pool) {
		_, err := pool.Exec(t.Context(), "DELETE FROM leftfold.fences")
		require.NoError(t, err)
	})
	require.Equal(t, 2, arrivals)
}

// arriveLate holds back the first batch of a store until the store has given it up and
// appended its event anew, and returns how often the event is in the log in the end.
func arriveLate(t *testing.T, before func(*pgxpool.Pool)) (times int) {
	t.Helper()
	pool := internalPool(t)
	release, answered := make(chan struct{}), make(chan struct{})
	held := -1
	proxy, err := pgproxy.Start(t.Context(), fmt.Sprintf("%s:%d", pool.Config().ConnConfig.Host, pool.Config().ConnConfig.Port), func(f pgproxy.Frame) pgproxy.Action {
		switch {
		case f.FromClient && f.Type == pgproxy.Bind && held < 0 && bytes.Contains(f.Payload, []byte("/append\x00")):
			held = f.Conn
			return pgproxy.Pause(release)
		case !f.FromClient && f.Type == pgproxy.ReadyForQuery && f.Conn == held && isClosed(release):
			close(answered)
		}
		return pgproxy.Forward
	})
	require.NoError(t, err)
	t.Cleanup(proxy.Close)

	config := pool.Config().ConnConfig
	through, err := pgxpool.New(t.Context(), fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", config.User, proxy.Addr(), config.Database))
	require.NoError(t, err)
	t.Cleanup(through.Close)
	store, err := Open(t.Context(), through, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	store.appender.patience.batch = 200 * time.Millisecond

	event := eventstore.EventData{ID: eventstore.NewEventID(), Type: "order.placed"}
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{event}}}})
	require.NoError(t, err, "settled, and made again")

	before(pool)
	close(release)
	<-answered
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events").Scan(&times))
	return times
}

// A lone event that was given up must not come late either, when its caller has been told that it
// was not made: it was made again, as a batch, and that was refused.
func TestALoneEventThatWasGivenUpIsDeclinedWhenItArrives(t *testing.T) {
	t.Parallel()
	require.Zero(t, arriveAloneAndLate(t, "", ""))
	require.Equal(t, 1, arriveAloneAndLate(t, " AND s.fences = fenced", ""), "the mutant")
}

// arriveAloneAndLate holds back a lone event until the store has given it up and has been refused
// the lock when it made it again, and returns how often it is in the log in the end.
func arriveAloneAndLate(t *testing.T, old, made string) (times int) {
	t.Helper()
	pool := internalPool(t)
	release, answered, settled, locked := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	held, asking := -1, false
	store := storeThrough(t, pool, func(f pgproxy.Frame) pgproxy.Action {
		switch {
		case f.FromClient && f.Type == pgproxy.Bind && held < 0 && bytes.Contains(f.Payload, []byte("/append_one\x00")):
			held = f.Conn
			return pgproxy.Pause(release)
		case f.FromClient && f.Type == pgproxy.Bind && bytes.Contains(f.Payload, []byte("/settle\x00")):
			asking = true
		case !f.FromClient && f.Type == pgproxy.ReadyForQuery && asking:
			asking = false
			close(settled)
			return pgproxy.Pause(locked)
		case !f.FromClient && f.Type == pgproxy.ReadyForQuery && f.Conn == held && isClosed(release):
			close(answered)
		}
		return pgproxy.Forward
	})
	add := func(stream eventstore.StreamID, expected eventstore.ExpectedVersion) error {
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: stream, Expected: expected, Events: []eventstore.EventData{{Type: "order.placed"}}},
		}})
		return err
	}
	require.NoError(t, add("order-1", eventstore.Any), "append_one declines on an empty log")
	if old != "" {
		var text string
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT pg_get_functiondef('leftfold.append_one'::regproc)").Scan(&text))
		require.Contains(t, text, old)
		_, err := pool.Exec(t.Context(), strings.Replace(text, old, made, 1))
		require.NoError(t, err)
	}
	store.appender.patience.batch = time.Second // longer than the wait for the lock
	answer := make(chan error, 1)
	go func() { answer <- add("order-2", eventstore.NoStream) }()
	<-settled
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.LockIn(t.Context(), holder))
	close(locked)
	require.ErrorIs(t, <-answer, eventstore.ErrStoreBusy)
	require.NoError(t, holder.Rollback(t.Context()))

	close(release)
	<-answered
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events WHERE stream_id = 'order-2'").Scan(&times))
	return times
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// internalPool is postgrestest.Pool for tests that are inside this package.
func internalPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	server, err := testservers.SharedPostgres()
	if err != nil && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	require.NoError(t, err)
	template, err := server.Template(t.Context(), "store", func(ctx context.Context, url string) error {
		pool, err := pgxpool.New(ctx, url)
		require.NoError(t, err)
		defer pool.Close()
		_, err = Migrate(ctx, pool, MigrateOptions{})
		return err
	})
	require.NoError(t, err)
	name, err := server.NewDatabase(t.Context(), template)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.DropDatabase(context.Background(), name)) })
	pool, err := pgxpool.New(t.Context(), server.URL(name))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
