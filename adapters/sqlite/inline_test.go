package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestInline(t *testing.T) {
	projectiontest.RunInline(t, func(t testing.TB) projectiontest.InlineParts[*sql.Tx] { return inlineOn(t, newPath(t)) })
}

// inlineOn opens stores on one file, which has a table of counters.
func inlineOn(t testing.TB, path string) projectiontest.InlineParts[*sql.Tx] {
	t.Helper()
	openStore(t, path)
	db, err := sql.Open("sqlite", path+"?_busy_timeout=5000")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, n INTEGER)")
	require.NoError(t, err)
	return projectiontest.InlineParts[*sql.Tx]{
		Open: func(ctx context.Context, inline projection.Inline[*sql.Tx]) (projectiontest.InlineStore[*sql.Tx], error) {
			s, err := openInline(ctx, path, inline)
			if err == nil {
				t.Cleanup(func() { require.NoError(t, s.Store.(*sqlite.Store).Close(context.Background())) })
			}
			return s, err
		},
		Add: addOne,
		Read: func(ctx context.Context, counter string) (n int, err error) {
			err = db.QueryRowContext(ctx, "SELECT n FROM counters WHERE name = ?", counter).Scan(&n)
			if errors.Is(err, sql.ErrNoRows) {
				return 0, nil
			}
			return n, err
		},
		SetBack: func(ctx context.Context, of projection.Generation) error {
			_, err := db.ExecContext(ctx, "UPDATE segments SET position = position - 1, anchor_id = (SELECT event_id FROM events WHERE position = segments.position - 1) WHERE name = ?", of.Name)
			return err
		},
	}
}

func openInline(ctx context.Context, path string, inline projection.Inline[*sql.Tx]) (s projectiontest.InlineStore[*sql.Tx], err error) {
	store, err := sqlite.Open(ctx, path, sqlite.Options{Inline: inline})
	if err != nil {
		return s, err
	}
	return projectiontest.InlineStore[*sql.Tx]{Store: store, Sink: store.Sink(), Switch: store.SwitchInline}, nil
}

func addOne(ctx context.Context, tx *sql.Tx, counter string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO counters VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", counter)
	return err
}

// The whole suite of stores, on one whose appends call a handler for every event.
func TestTortureConformanceOfAStoreWithInlineProjections(t *testing.T) {
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		seen := projection.NewHandler("seen", projection.HandlerOptions{Version: 1}, func(ctx context.Context, tx *sql.Tx, m eventstore.Recorded) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO seen VALUES (?, ?)", int64(m.Position), string(m.Stream))
			return err
		})
		path := newPath(t)
		store, err := sqlite.Open(t.Context(), path, sqlite.Options{Inline: projection.Inline[*sql.Tx]{Handlers: []*projection.Handler[*sql.Tx]{seen}}})
		require.NoError(t, err)
		db, err := sql.Open("sqlite", path+"?_busy_timeout=5000")
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "CREATE TABLE seen (position INTEGER PRIMARY KEY, stream TEXT)")
		require.NoError(t, err)
		require.NoError(t, store.SwitchInline(t.Context()))
		t.Cleanup(func() {
			var differences int
			err := db.QueryRowContext(context.Background(), `SELECT count(*) FROM events AS e FULL JOIN seen AS s ON s.position = e.position
				WHERE s.stream IS NOT e.stream_id`).Scan(&differences)
			require.NoError(t, errors.Join(err, db.Close(), store.Close(context.Background())))
			require.Zero(t, differences, "what was handled is not the log")
		})
		return store
	}, eventstoretest.Options{Divisor: 10, Without: []string{string(eventstore.Importing)}})
}

// appendInline is a child that appends with projections until it is killed.
func appendInline(path string) error {
	return projectiontest.AppendUntilKilled(context.Background(), projectiontest.InlineParts[*sql.Tx]{
		Open: func(ctx context.Context, inline projection.Inline[*sql.Tx]) (projectiontest.InlineStore[*sql.Tx], error) {
			return openInline(ctx, path, inline)
		},
		Add: addOne,
	})
}
