package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Such as one of another database, which the function has asked too.
func TestAnErrorThatIsNotOfItsTransactionIsTheFunctionsOwn(t *testing.T) {
	r := newRivals(t, nil)
	for _, code := range []string{"40001", "57P01", "53300", "0A000"} {
		own := &pgconn.PgError{Severity: "ERROR", Code: code}
		calls := 0
		err := r.quick.Read(t.Context(), r.model.Generation, func(context.Context, pgx.Tx) error {
			calls++
			return own
		})
		require.Equal(t, own, err)
		require.Equal(t, 1, calls)
	}
}

// A stale answer is read again in the transaction that is kept, and the read model may have gone on
// by then.
func TestTheNextAnswerIsNotOlderThanSQLThatMayBeStale(t *testing.T) {
	r := newRivals(t, nil)
	require.NoError(t, r.commit(t.Context(), r.quick, "a"))
	next := r.move
	next.From, next.To.Anchor = r.move.To, eventstore.Anchor{Position: 6, EventID: eventstore.NewEventID()}
	var connections atomic.Int32
	config := r.pool.Config()
	config.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) {
		if connections.Add(1) == 2 { // the first one was to look
			return true, r.quick.Commit(ctx, r.model, next, []projection.Change{{Row: projection.Row{Key: "b", Values: []any{"b"}}}})
		}
		return true, nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	sink := openSinkOn(t, pool)
	connections.Store(0)

	bus := query.NewBus()
	query.Handle(bus, "count", func(ctx context.Context, _ string) (n int, err error) {
		err = sink.Read(ctx, r.model.Generation, func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM leftfold.view_raced_1").Scan(&n)
		})
		return n, err
	}, query.Reads("raced"))
	far := eventstore.Token{Identity: r.move.To.Source, Position: 7}
	var told query.Freshness
	n, err := query.Ask[int](t.Context(), bus, "?", query.After(far), query.Wait(0), query.OrStale(&told))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []eventstore.Token{r.move.To.Token()}, told.Includes)
	require.Equal(t, []eventstore.Token{next.To.Token()}, told.After)
}
