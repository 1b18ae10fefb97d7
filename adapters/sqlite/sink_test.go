package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func openSink(t testing.TB) *sqlite.Sink {
	t.Helper()
	sink, err := sqlite.OpenSink(context.Background(), filepath.Join(t.TempDir(), "views.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close()) })
	return sink
}

func TestSink(t *testing.T) {
	projectiontest.RunSink(t, func(t testing.TB) projection.Sink { return openSink(t) })
}

func TestSinkTransactions(t *testing.T) {
	projectiontest.RunTxSink(t, func(t testing.TB) projectiontest.TxParts[*sql.Tx] {
		path := filepath.Join(t.TempDir(), "views.db")
		sink, err := sqlite.OpenSink(t.Context(), path)
		require.NoError(t, err)
		db, err := sql.Open("sqlite", path+"?_busy_timeout=5000")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, errors.Join(db.Close(), sink.Close())) })
		_, err = db.ExecContext(t.Context(), "CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER)")
		require.NoError(t, err)
		return projectiontest.TxParts[*sql.Tx]{
			Sink: sink, Store: openStore(t, filepath.Join(t.TempDir(), "log.db")),
			Add: func(ctx context.Context, tx *sql.Tx, counter string) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO counters VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", counter)
				return err
			},
			Read: func(ctx context.Context, counter string) (n int, err error) {
				err = db.QueryRowContext(ctx, "SELECT n FROM counters WHERE name = ?", counter).Scan(&n)
				if errors.Is(err, sql.ErrNoRows) {
					return 0, nil
				}
				return n, err
			},
		}
	})
}

func TestEffectsWithReadModelsInTheStoresFile(t *testing.T) {
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "all.db"), sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
		return projectiontest.Parts{Store: store, Sink: store.Sink()}
	})
}

func TestEffectsWithReadModelsInAnotherFile(t *testing.T) {
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
		return projectiontest.Parts{Store: store, Sink: openSink(t)}
	})
}

func TestTheSinkOfAStoreIsOneAndClosesWithIt(t *testing.T) {
	store := openStore(t, newPath(t))
	sink := store.Sink()
	require.Same(t, sink, store.Sink(), "a commit through one wakes those who wait at the other")
	require.NoError(t, sink.Close())
	_, err := store.Append(t.Context(), request("x/0/0"))
	require.NoError(t, err, "the file is the store's")
}

func TestTortureChurn(t *testing.T) {
	churn := projectiontest.Churn{Rounds: 6 + 2*eventstoretest.Scale, Every: time.Duration(eventstoretest.Scale) * time.Second / 2}
	projectiontest.RunChurn(t, projectiontest.Parts{Store: openStore(t, newPath(t)), Sink: openSink(t)}, churn)
}
