package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/testservers"
)

// Writers go on through crashes of the server, one of them alone in its process. What was
// acknowledged is in the log, once and where its receipt says, what was refused is not, and live
// readers meet every event once and in order.
func TestTortureCrashesOfTheServer(t *testing.T) {
	t.Parallel()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	name, err := server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	pool := poolOn(t, server.URL(name))
	_, err = postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	store, own := openOn(t, pool, postgres.Options{}), openOn(t, pool, postgres.Options{})

	const writers = 16
	acked := make([]map[string]eventstore.Position, writers)
	var total atomic.Int64
	var unknown atomic.Int64
	writing, stop := context.WithCancel(t.Context())
	var all, reading sync.WaitGroup
	for w := range writers {
		acked[w] = map[string]eventstore.Position{}
		all.Go(func() {
			for n := 0; writing.Err() == nil; n++ {
				data := fmt.Sprintf("%d/%d", w, n)
				to, request := store, oneEvent(eventstore.NewStreamID("order", fmt.Sprint(w)))
				if w == 0 { // by leftfold.append_one
					to, request = own, loneEvent("order-0", eventstore.Version(len(acked[0])))
				}
				request.Writes[0].Events[0].Data = []byte(data)
				receipt, err := to.Append(t.Context(), request)
				switch {
				case errors.Is(err, eventstore.ErrVersionConflict):
					assert.NoError(t, err, "an event that was refused is in the log")
					return
				case err == nil:
					acked[w][data] = receipt.Token.Position
					total.Add(1)
				case errors.Is(err, eventstore.ErrOutcomeUnknown):
					unknown.Add(1)
				}
			}
		})
	}
	reader := liveReader{store: store}
	written, done := context.WithCancel(t.Context()) // over when the last append has been answered
	reading.Go(func() { reader.follow(t.Context(), written) })

	crash := []func(context.Context) error{server.Crash, server.KillPostmaster, func(ctx context.Context) error {
		var pid int // of the backend that appends
		err := pool.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE query LIKE '%".append%($1%' AND pid <> pg_backend_pid() LIMIT 1`).Scan(&pid)
		return errors.Join(err, server.KillBackend(ctx, pid))
	}}
	for n := range 3 * eventstoretest.Scale {
		for until := total.Load() + 500; total.Load() < until; { // so that each crash meets a busy store
			err := eventstore.WaitAppended(t.Context(), store, headWhenUp(t, store))
			if !errors.Is(err, eventstore.ErrStoreBusy) { // a crash may meet the wait, too
				require.NoError(t, err)
			}
		}
		require.NoError(t, crash[n%len(crash)](t.Context()))
		pool.Reset()
	}
	stop()
	all.Wait()
	done()
	reading.Wait()
	t.Logf("%d crashes, %d appends acknowledged, %d of them alone, %d of unknown outcome", 3*eventstoretest.Scale, total.Load(), len(acked[0]), unknown.Load())
	require.Greater(t, len(acked[0]), 10)
	require.Zero(t, unknown.Load(), "the server always came back in time")

	// Checked by plain SQL, not by the code under test.
	rows, err := pool.Query(t.Context(), "SELECT position, convert_from(data, 'UTF8') FROM leftfold.events ORDER BY position")
	require.NoError(t, err)
	defer rows.Close()
	var last eventstore.Position
	for rows.Next() {
		var at eventstore.Position
		var data string
		require.NoError(t, rows.Scan(&at, &data))
		last++
		require.Equal(t, last, at, "a gap")
		var w, n int
		_, err := fmt.Sscanf(data, "%d/%d", &w, &n)
		require.NoError(t, err)
		require.Equal(t, acked[w][data], at, "event %s", data)
		delete(acked[w], data)
	}
	require.NoError(t, rows.Err())
	for _, lost := range acked {
		require.Empty(t, lost, "acknowledged, and not in the log")
	}
	require.Empty(t, reader.findings)
	require.Equal(t, last, reader.at)
}

// headWhenUp asks until the server answers.
func headWhenUp(t *testing.T, store eventstore.Store) eventstore.Position {
	t.Helper()
	for {
		head, err := store.Head(t.Context())
		if err == nil {
			return head.Position
		}
		require.ErrorIs(t, err, postgres.ErrUnavailable)
	}
}

// liveReader follows the log from a checkpoint, and notes what it should not see.
type liveReader struct {
	store    eventstore.Store
	at       eventstore.Position
	findings []string
}

// follow reads until it has reached the head after the writing is over.
func (r *liveReader) follow(ctx, written context.Context) {
	for {
		over := written.Err() != nil // asked before the read, so that the last read has everything
		read, err := r.store.ReadLog(ctx, eventstore.LogQuery{After: r.at})
		if err != nil {
			continue // the server is down
		}
		for e, err := range read.Events() {
			if err != nil {
				break
			}
			if e.Position != r.at+1 {
				r.findings = append(r.findings, fmt.Sprintf("position %d follows %d", e.Position, r.at))
			}
			r.at = e.Position
		}
		if over && r.at == read.Through.Position {
			return
		}
	}
}
