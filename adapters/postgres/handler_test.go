package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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

// What a handler's statements do wrong is put down to the key that they were for, and what the
// server does wrong to none.
func TestWhoseKeyIsParkedWhenAHandlersStatementsFail(t *testing.T) {
	t.Parallel()
	exec := func(ctx context.Context, tx pgx.Tx, text string) error { _, err := tx.Exec(ctx, text); return err }
	for name, c := range map[string]struct {
		poison func(ctx context.Context, tx pgx.Tx, try int64) error
		parked bool
	}{
		"a statement fails": {func(ctx context.Context, tx pgx.Tx, _ int64) error { return exec(ctx, tx, "SELECT 1/0") }, true},
		"it hides that, and the next event's statement fails": {func(ctx context.Context, tx pgx.Tx, _ int64) error {
			_ = exec(ctx, tx, "SELECT 1/0")
			return nil
		}, true},
		"it leaves rows open": {func(ctx context.Context, tx pgx.Tx, _ int64) error {
			_, err := tx.Query(ctx, "SELECT generate_series(1, 100)")
			return err
		}, true},
		"its commit fails": {func(ctx context.Context, tx pgx.Tx, _ int64) error {
			return exec(ctx, tx, "INSERT INTO handled_at_commit VALUES ('twice')")
		}, true},
		"its backend is killed, five times": {func(ctx context.Context, tx pgx.Tx, try int64) error {
			if try > 5 {
				return nil
			}
			return exec(ctx, tx, "SELECT pg_terminate_backend(pg_backend_pid())")
		}, false},
		"a deadlock, five times": {func(ctx context.Context, tx pgx.Tx, try int64) error {
			if try > 5 {
				return nil
			}
			return exec(ctx, tx, "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pool := newPool(t)
			store := openOn(t, pool, postgres.Options{})
			for _, text := range []string{
				"CREATE TABLE handled (key text, position bigint)",
				"CREATE TABLE handled_at_commit (key text UNIQUE DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO handled_at_commit VALUES ('twice')",
			} {
				_, err := pool.Exec(t.Context(), text)
				require.NoError(t, err)
			}
			for n := range 40 {
				_, err := store.Append(t.Context(), oneEvent(eventstore.NewStreamID("order", fmt.Sprint(n%4))))
				require.NoError(t, err)
			}
			var tries atomic.Int64
			handler := projection.NewHandler("handled", projection.HandlerOptions{Version: 1, Key: func(e eventstore.Recorded) string { return e.Stream.ID() }},
				func(ctx context.Context, tx pgx.Tx, e eventstore.Recorded) error {
					if _, err := tx.Exec(ctx, "INSERT INTO handled VALUES ($1, $2)", e.Stream.ID(), int64(e.Position)); err != nil {
						return err
					}
					if e.Position == 25 {
						return c.poison(ctx, tx, tries.Add(1))
					}
					return nil
				})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- projection.Worker{Log: store, Tasks: []projection.Task{projection.On(store.Sink(), handler)}}.Run(ctx)
			}()
			var status projection.Status
			require.Eventually(t, func() bool {
				var err error
				status, err = projection.StatusOf(t.Context(), store, store.Sink(), projection.Generation{Name: "handled", Version: 1})
				return err == nil && len(status.Segments) > 0 && status.Lag() == 0
			}, postgres.TestPatience, postgres.TestStep)
			stop()
			require.NoError(t, <-ended)

			var missing, twice int
			require.NoError(t, pool.QueryRow(t.Context(), "SELECT 40 - count(DISTINCT position), count(*) - count(DISTINCT position) FROM handled").Scan(&missing, &twice))
			require.Zero(t, twice)
			if !c.parked {
				require.Empty(t, status.Parked)
				require.Zero(t, missing)
				return
			}
			require.Len(t, status.Parked, 1)
			require.Equal(t, "0", status.Parked[0].Key)
			require.EqualValues(t, 25, status.Parked[0].Event.Position)
			require.Equal(t, 4, missing, "the event and the three that follow it on its key")
		})
	}
}
