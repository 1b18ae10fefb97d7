package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// handled is what becomes of a handler's transaction: its error, whether the row that it wrote
// is there, and whether the checkpoint moved.
type handled struct {
	err            error
	written, moved bool
}

func handle(t *testing.T, pool *pgxpool.Pool, sink *postgres.Sink, apply func(ctx context.Context, tx pgx.Tx) error) (h handled) {
	t.Helper()
	model := projection.Model{Generation: projection.Generation{Name: fmt.Sprintf("handled_%d", names.Add(1)), Version: 1}, Hash: "handled"}
	source := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	require.NoError(t, sink.Open(t.Context(), model, source))
	from, err := sink.Checkpoint(t.Context(), model.Generation, source.Store)
	require.NoError(t, err)
	to := from
	to.Anchor = eventstore.Anchor{Position: 1, EventID: eventstore.NewEventID()}
	_, err = pool.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS notes (text text)")
	require.NoError(t, err)
	note := model.Name
	h.err = sink.Transact(t.Context(), model.Generation, projection.Move{From: from, To: to}, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO notes VALUES ($1)", note); err != nil {
			return err
		}
		return apply(ctx, tx)
	})
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM notes WHERE text = $1)", note).Scan(&h.written))
	at, err := sink.Checkpoint(t.Context(), model.Generation, source.Store)
	require.NoError(t, err)
	h.moved = at == to
	return h
}

func TestTheTransactionOfAHandlerIsNotItsToEnd(t *testing.T) {
	pool := newPool(t)
	sink := openSinkOn(t, pool)
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		apply func(ctx context.Context, tx pgx.Tx) error
		says  string // "": it commits
	}{
		"it commits":                      {func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) }, "is committed when the handler returns nil"},
		"it commits, and says nothing":    {func(ctx context.Context, tx pgx.Tx) error { _ = tx.Commit(ctx); return nil }, ""},
		"it rolls back at the end":        {func(ctx context.Context, tx pgx.Tx) error { defer func() { _ = tx.Rollback(ctx) }(); return nil }, ""},
		"it is refused":                   {func(context.Context, pgx.Tx) error { return refused }, "refused"},
		"it hides an error of the server": {func(ctx context.Context, tx pgx.Tx) error { _, _ = tx.Exec(ctx, "SELECT 1/0"); return nil }, "did not return its error"},
		"it goes on after a savepoint": {func(ctx context.Context, tx pgx.Tx) error {
			_ = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, "SELECT 1/0"); return err })
			return nil
		}, ""},
		"it leaves rows open": {func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Query(ctx, "SELECT generate_series(1, 100)")
			return err
		}, "left rows open"},
		"it panics": {func(context.Context, pgx.Tx) error { panic("by the handler") }, "panic"},
	} {
		t.Run(name, func(t *testing.T) {
			h := handle(t, pool, sink, func(ctx context.Context, tx pgx.Tx) (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = fmt.Errorf("panic: %v", p)
					}
				}()
				return c.apply(ctx, tx)
			})
			if c.says == "" {
				require.Equal(t, handled{nil, true, true}, h)
				return
			}
			require.ErrorContains(t, h.err, c.says)
			require.False(t, h.written || h.moved)
			require.NotErrorIs(t, h.err, eventstore.ErrStoreBusy)
		})
	}
}

// What it has committed by SQL cannot be taken back. The projection stops, for good.
func TestAHandlerThatEndsItsTransactionBySQLIsStopped(t *testing.T) {
	pool := newPool(t)
	sink := openSinkOn(t, pool)
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		h := handle(t, pool, sink, func(ctx context.Context, tx pgx.Tx) error { _, err := tx.Exec(ctx, end); return err })
		require.ErrorIs(t, h.err, subscription.ErrPermanent)
		require.ErrorContains(t, h.err, "build the read model anew")
	}
}

// Whatever is the default of the database.
func TestTheTransactionOfAHandlerIsReadCommittedAndBounded(t *testing.T) {
	owner := newPool(t)
	for _, set := range []string{"default_transaction_isolation = 'serializable'", "lock_timeout = '1h'", "idle_in_transaction_session_timeout = 0"} {
		_, err := owner.Exec(t.Context(), "ALTER DATABASE "+owner.Config().ConnConfig.Database+" SET "+set)
		require.NoError(t, err)
	}
	pool := poolOn(t, owner.Config().ConnString())
	sink := openSinkOn(t, pool)
	var isolation, lock, idle string
	h := handle(t, pool, sink, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT current_setting('transaction_isolation'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')").Scan(&isolation, &lock, &idle)
	})
	require.Equal(t, handled{nil, true, true}, h)
	require.Equal(t, [3]string{"read committed", "5s", "10s"}, [3]string{isolation, lock, idle})

	h = handle(t, pool, sink, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = '50ms'"); err != nil {
			return err
		}
		require.Eventually(t, func() bool {
			var there bool
			err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", tx.Conn().PgConn().PID()).Scan(&there)
			return err == nil && !there
		}, postgres.TestPatience, postgres.TestStep)
		return nil
	})
	require.ErrorIs(t, h.err, postgres.ErrUnavailable)
	require.False(t, h.written || h.moved)
}

// reacts to each order with an invoice, which it appends to the log that it follows.
func TestAHandlerAppendsInItsTransaction(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	for n := range 20 {
		_, err := store.Append(t.Context(), oneEvent(eventstore.NewStreamID("order", fmt.Sprint(n))))
		require.NoError(t, err)
	}
	invoices := projection.NewHandler("invoices", projection.HandlerOptions{Version: 1, Query: eventstore.Types("order.placed")},
		func(ctx context.Context, tx pgx.Tx, e eventstore.Recorded) error {
			_, err := store.In(tx).Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
				Stream: eventstore.NewStreamID("invoice", e.Stream.ID()), Events: []eventstore.EventData{{Type: "invoice.sent"}},
			}}})
			return err
		})
	runner := projection.Runner{Log: store, Window: 7, Tasks: []projection.Task{projection.On(store.Sink(), invoices)}}
	require.NoError(t, runner.CatchUp(t.Context()))
	require.NoError(t, runner.CatchUp(t.Context()))
	require.EqualValues(t, 40, headOf(t, store))
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types("invoice.sent")})
	require.NoError(t, err)
	seen := map[eventstore.StreamID]int{}
	for e, err := range read.Events() {
		require.NoError(t, err)
		seen[e.Stream]++
	}
	require.Len(t, seen, 20)
}

// Handlers that take every connection for themselves, and read the store and its read models
// meanwhile, must not wait for each other.
func TestHandlersWaitForNoConnectionOfReaders(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{Readers: 1})
	_, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	view := customers("customers", 1)
	require.NoError(t, projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), view)}}.CatchUp(t.Context()))
	var tasks []projection.Task
	for n := range 20 {
		tasks = append(tasks, projection.On(store.Sink(), projection.NewHandler(fmt.Sprintf("h%d", n), projection.HandlerOptions{Version: 1},
			func(ctx context.Context, _ pgx.Tx, _ eventstore.Recorded) error {
				_, err := store.Head(ctx)
				if err == nil {
					_, err = projection.NewReader(store.Sink(), view).GetMany(ctx, "a")
				}
				return err
			})))
	}
	require.NoError(t, projection.Runner{Log: store, Tasks: tasks}.CatchUp(t.Context()))
}
