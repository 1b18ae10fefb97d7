package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// openSinkOn opens a sink that is closed with the test.
func openSinkOn(t testing.TB, pool *pgxpool.Pool) *postgres.Sink {
	t.Helper()
	sink, err := postgres.OpenSink(t.Context(), pool, postgres.SinkOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close(context.Background())) })
	return sink
}

func TestSink(t *testing.T) {
	projectiontest.RunSink(t, func(t testing.TB) projection.Sink { return openSinkOn(t, newPool(t)) })
}

func TestSinkTransactions(t *testing.T) {
	projectiontest.RunTxSink(t, func(t testing.TB) projectiontest.TxParts[pgx.Tx] {
		pool := newPool(t)
		return countersOn(t, pool, openSinkOn(t, pool))
	})
}

// countersOn keeps counters in a table of the pool's database.
func countersOn(t testing.TB, pool *pgxpool.Pool, sink projection.TxSink[pgx.Tx]) projectiontest.TxParts[pgx.Tx] {
	t.Helper()
	_, err := pool.Exec(t.Context(), "CREATE TABLE counters (name text PRIMARY KEY, n bigint)")
	require.NoError(t, err)
	return projectiontest.TxParts[pgx.Tx]{
		Sink: sink,
		Add: func(ctx context.Context, tx pgx.Tx, counter string) error {
			_, err := tx.Exec(ctx, "INSERT INTO counters AS c VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET n = c.n + 1", counter)
			return err
		},
		Read: func(ctx context.Context, counter string) (n int, err error) {
			err = pool.QueryRow(ctx, "SELECT n FROM counters WHERE name = $1", counter).Scan(&n)
			if errors.Is(err, pgx.ErrNoRows) {
				return 0, nil
			}
			return n, err
		},
	}
}

func TestEffectsWithReadModelsInTheStoresSchema(t *testing.T) {
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		store := openOn(t, newPool(t), postgres.Options{})
		return projectiontest.Parts{Store: store, Sink: store.Sink()}
	})
}

func TestEffectsWithReadModelsInAnotherDatabase(t *testing.T) {
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		return projectiontest.Parts{Store: openOn(t, newPool(t), postgres.Options{}), Sink: openSinkOn(t, newPool(t))}
	})
}
