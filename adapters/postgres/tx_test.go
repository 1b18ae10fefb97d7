package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

func TestTransactionsOfTheCaller(t *testing.T) {
	t.Parallel()
	eventstoretest.RunTransactions(t, func(t testing.TB) eventstoretest.Transactions {
		pool, store := withTable(t)
		return transactionsOn(store, pool, func(ctx context.Context) (eventstoretest.Transaction, error) {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return eventstoretest.Transaction{}, err
			}
			t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
			return eventstoretest.Transaction{
				Log: store.In(tx),
				PutRow: func(ctx context.Context) error {
					_, err := tx.Exec(ctx, "INSERT INTO rows VALUES (1)")
					return err
				},
				Commit:   tx.Commit,
				Rollback: tx.Rollback,
			}, nil
		})
	})
}

func TestTransactionsOfTheCallerByDatabaseSQL(t *testing.T) {
	t.Parallel()
	eventstoretest.RunTransactions(t, func(t testing.TB) eventstoretest.Transactions {
		pool, store := withTable(t)
		db := sqlDB(t, pool)
		return transactionsOn(store, pool, func(ctx context.Context) (eventstoretest.Transaction, error) {
			conn, err := db.Conn(ctx)
			if err != nil {
				return eventstoretest.Transaction{}, err
			}
			t.Cleanup(func() { _ = conn.Close() })
			tx, err := conn.BeginTx(ctx, nil)
			return eventstoretest.Transaction{
				Log: store.InSQL(conn),
				PutRow: func(ctx context.Context) error {
					_, err := tx.ExecContext(ctx, "INSERT INTO rows VALUES ($1)", 1)
					return err
				},
				Commit:   func(context.Context) error { return tx.Commit() },
				Rollback: func(context.Context) error { return tx.Rollback() },
			}, err
		})
	})
}

func transactionsOn(store *postgres.Store, pool *pgxpool.Pool, begin func(ctx context.Context) (eventstoretest.Transaction, error)) eventstoretest.Transactions {
	return eventstoretest.Transactions{
		Store: store,
		Begin: begin,
		Rows: func(ctx context.Context) (n int, err error) {
			err = pool.QueryRow(ctx, "SELECT count(*) FROM rows").Scan(&n)
			return n, err
		},
		Ended: pgx.ErrTxClosed,
	}
}

func sqlDB(t testing.TB, pool *pgxpool.Pool) *sql.DB {
	t.Helper()
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestTransactSQLCommitsOrRollsBackAll(t *testing.T) {
	pool, store := withTable(t)
	errChangedMind := errors.New("changed my mind")
	for _, end := range []error{nil, errChangedMind} {
		err := store.TransactSQL(t.Context(), sqlDB(t, pool), func(ctx context.Context, tx *sql.Tx, log eventstore.Store) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO rows VALUES (1)")
			require.NoError(t, err)
			_, err = store.Append(ctx, oneEvent("order-1"))
			require.ErrorIs(t, err, postgres.ErrOwnTransaction)
			_, err = log.Append(ctx, oneEvent("order-1"))
			require.NoError(t, err)
			for e, err := range log.ReadStream(ctx, "order-1", eventstore.StreamRange{}) {
				require.NoError(t, err)
				_, err = tx.ExecContext(ctx, "INSERT INTO rows VALUES ($1)", int64(e.Version)) // the connection is free
				require.NoError(t, err)
			}
			return end
		})
		require.ErrorIs(t, err, end)
	}
	var rows int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM rows").Scan(&rows))
	require.Equal(t, 2, rows)
	require.EqualValues(t, 1, headOf(t, store))
}

// Nothing that goes wrong on the way may leave the transaction ended while database/sql goes on.
func TestATransactionOfDatabaseSQLOutlivesWhatIsRefused(t *testing.T) {
	pool, store := withTable(t)
	conn, err := sqlDB(t, pool).Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	log := store.InSQL(conn)
	_, err = log.Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, pgx.ErrTxClosed, "there is none yet")

	tx, err := conn.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = log.Append(over, oneEvent("order-1"))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, store.LockInSQL(t.Context(), conn))
	var locks int
	require.NoError(t, tx.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()").Scan(&locks))
	require.Equal(t, 1, locks)
	rows, err := tx.QueryContext(t.Context(), "SELECT generate_series(1, 10)")
	require.NoError(t, err)
	require.True(t, rows.Next())
	_, err = log.Append(t.Context(), oneEvent("order-1"))
	require.ErrorContains(t, err, "close them")
	require.NoError(t, errors.Join(rows.Close(), rows.Err()))
	_, err = log.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "SAVEPOINT mine")
	require.NoError(t, err)
	for range 2 {
		_, err = tx.ExecContext(t.Context(), "SELECT 1/0") // the transaction has failed
		require.Error(t, err)
		_, err = log.Append(t.Context(), oneEvent("order-1"))
		require.ErrorContains(t, err, "roll back")
		_, err = tx.ExecContext(t.Context(), "ROLLBACK TO mine")
		require.NoError(t, err, "up to the savepoint it has not")
	}
	_, err = log.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "SELECT 1/0")
	require.Error(t, err)
	_, err = log.Append(t.Context(), oneEvent("order-1"))
	require.Error(t, err)
	require.Error(t, tx.Commit())
	require.Zero(t, headOf(t, store))
	_, err = log.Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, pgx.ErrTxClosed)
}

func TestATransactionOfAnotherDriverOrIsolationIsRefused(t *testing.T) {
	pool, store := withTable(t)
	conn, err := sqlDB(t, pool).Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	tx, err := conn.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = store.InSQL(conn).Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, postgres.ErrIsolation)

	db := sql.OpenDB(noDriver{})
	defer db.Close()
	other, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer other.Close()
	_, err = store.InSQL(other).Append(t.Context(), oneEvent("order-1"))
	require.ErrorContains(t, err, "another driver than pgx")
}

// noDriver connects to nothing.
type noDriver struct{}

func (noDriver) Connect(context.Context) (driver.Conn, error) { return noConn{}, nil }
func (noDriver) Driver() driver.Driver                        { return nil }

type noConn struct{}

func (noConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (noConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }
func (noConn) Close() error                        { return nil }

func TestARowAndItsEventsCommitOrVanishTogether(t *testing.T) {
	pool, store := withTable(t)
	errChangedMind := errors.New("changed my mind")
	for _, end := range []error{nil, errChangedMind} {
		err := store.Transact(t.Context(), pool, func(ctx context.Context, tx pgx.Tx, log eventstore.Store) error {
			if _, err := tx.Exec(ctx, "INSERT INTO rows VALUES (1)"); err != nil {
				return err
			}
			if _, err := log.Append(ctx, oneEvent("order-1")); err != nil {
				return err
			}
			return end
		})
		require.ErrorIs(t, err, end)
	}
	var rows int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM rows").Scan(&rows))
	require.Equal(t, 1, rows)
	require.EqualValues(t, 1, headOf(t, store))
}

func TestATransactionSeesItsOwnEventsAndNobodyElseDoes(t *testing.T) {
	pool, store := withTable(t)
	require.NoError(t, store.Transact(t.Context(), pool, func(ctx context.Context, _ pgx.Tx, log eventstore.Store) error {
		_, err := log.Append(ctx, oneEvent("order-1"))
		require.NoError(t, err)
		events := 0
		for _, err := range log.ReadStream(ctx, "order-1", eventstore.StreamRange{}) {
			require.NoError(t, err)
			events++
		}
		require.Equal(t, 1, events)
		require.Zero(t, headOf(t, store))
		return nil
	}))
	require.EqualValues(t, 1, headOf(t, store))
}

func TestARefusalLeavesTheTransactionUsable(t *testing.T) {
	pool, store := withTable(t)
	require.NoError(t, store.Transact(t.Context(), pool, func(ctx context.Context, tx pgx.Tx, log eventstore.Store) error {
		refused := oneEvent("order-1")
		refused.Writes[0].Expected = eventstore.Exactly(7)
		_, err := log.Append(ctx, refused)
		require.ErrorIs(t, err, eventstore.ErrVersionConflict)
		_, err = log.Append(ctx, oneEvent("order-1"))
		return err
	}))
	require.EqualValues(t, 1, headOf(t, store))
}

func TestAnAppendThatWouldWaitForItsOwnTransactionIsRefused(t *testing.T) {
	pool, store := withTable(t)
	require.NoError(t, store.Transact(t.Context(), pool, func(ctx context.Context, _ pgx.Tx, log eventstore.Store) error {
		_, err := store.Append(ctx, oneEvent("order-1"))
		require.ErrorIs(t, err, postgres.ErrOwnTransaction)
		_, err = log.Append(ctx, oneEvent("order-1"))
		return err
	}))
}

func TestOnlyReadCommittedTransactionsAppend(t *testing.T) {
	pool, store := withTable(t)
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		err := pgx.BeginTxFunc(t.Context(), pool, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
			_, err := store.In(tx).Append(t.Context(), oneEvent("order-1"))
			return err
		})
		require.ErrorIs(t, err, postgres.ErrIsolation)
	}
	require.Zero(t, headOf(t, store))
}

func TestATransactionOnAnotherDatabaseIsRefused(t *testing.T) {
	_, store := withTable(t)
	err := pgx.BeginFunc(t.Context(), newPool(t), func(tx pgx.Tx) error {
		_, err := store.In(tx).Append(t.Context(), oneEvent("order-1"))
		return err
	})
	require.ErrorIs(t, err, postgres.ErrOtherDatabase)
}

func TestALockThatAnotherTransactionHoldsIsWaitedForTwoSeconds(t *testing.T) {
	t.Parallel()
	pool, store := withTable(t)
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = holder.Rollback(context.Background()) })
	require.NoError(t, store.LockIn(t.Context(), holder))
	var waited time.Duration // by the server's clock
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SAVEPOINT before")
		require.NoError(t, err)
		_, busy := store.In(tx).Append(t.Context(), oneEvent("order-1"))
		_, err = tx.Exec(t.Context(), "ROLLBACK TO before")
		require.NoError(t, err)
		require.NoError(t, tx.QueryRow(t.Context(), "SELECT clock_timestamp() - now()").Scan(&waited))
		return busy
	})
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.GreaterOrEqual(t, waited, 2*time.Second)
	require.NoError(t, holder.Rollback(t.Context()))
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
}

func TestSeveralStoresAppendAllOrNoneFromBothOrders(t *testing.T) {
	pool, first := withTable(t)
	_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{Schema: "order"}) // a reserved word
	require.NoError(t, err)
	second := openOn(t, pool, postgres.Options{Schema: "order"})

	const each = 20
	var all sync.WaitGroup
	errs := make([]error, 2)
	for n, stores := range [][]*postgres.Store{{first, second}, {second, first}} {
		all.Go(func() {
			for range each {
				errs[n] = errors.Join(errs[n], pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
					_, err := postgres.AppendAll(t.Context(), tx,
						postgres.StoreAppend{Store: stores[0], Request: oneEvent("order-1")},
						postgres.StoreAppend{Store: stores[1], Request: oneEvent("order-1")})
					return err
				}))
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, 2*each, headOf(t, first))
	require.EqualValues(t, 2*each, headOf(t, second))

	refused := oneEvent("order-1")
	refused.Writes[0].Expected = eventstore.NoStream
	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := postgres.AppendAll(t.Context(), tx,
			postgres.StoreAppend{Store: first, Request: oneEvent("order-1")}, postgres.StoreAppend{Store: second, Request: refused})
		require.ErrorIs(t, err, eventstore.ErrVersionConflict)
		return nil // the caller commits all the same
	}))
	require.EqualValues(t, 2*each, headOf(t, first), "the append to the first was taken back")
}

// A program may hold every connection of its pool while it appends.
func TestAnAppendNeedsNoConnectionOfThePool(t *testing.T) {
	full := newPool(t).Config()
	full.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), full)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	store := openOn(t, pool, postgres.Options{Readers: 1})
	held, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer held.Release()
	receipt, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	for _, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
		require.NoError(t, err)
		_, err := store.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
	}
	require.NoError(t, store.WaitAppended(t.Context(), receipt.Token.Position))
}

// The connection goes on, and other transactions on it: nothing may be appended there.
func TestAStoreInsideATransactionEndsWithIt(t *testing.T) {
	single := newPool(t).Config()
	single.MaxConns = 1 // so that the next transaction has the same connection
	pool, err := pgxpool.NewWithConfig(t.Context(), single)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	store := openOn(t, pool, postgres.Options{})
	end := map[string]func(pgx.Tx) error{
		"commit":         func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
		"rollback":       func(tx pgx.Tx) error { return tx.Rollback(t.Context()) },
		"commit as text": func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), "COMMIT"); return err },
	}
	use := map[string]func(pgx.Tx, eventstore.Store) error{
		"Append": func(_ pgx.Tx, log eventstore.Store) error {
			_, err := log.Append(t.Context(), oneEvent("order-1"))
			return err
		},
		"DeleteStream": func(_ pgx.Tx, log eventstore.Store) error {
			_, err := log.(eventstore.StreamDeleter).DeleteStream(t.Context(), "order-1", eventstore.Any)
			return err
		},
		"Head": func(_ pgx.Tx, log eventstore.Store) error {
			_, err := log.Head(t.Context())
			return err
		},
		"LockIn": func(tx pgx.Tx, _ eventstore.Store) error { return store.LockIn(t.Context(), tx) },
		"AppendAll": func(tx pgx.Tx, _ eventstore.Store) error {
			_, err := postgres.AppendAll(t.Context(), tx, postgres.StoreAppend{Store: store, Request: oneEvent("order-1")})
			return err
		},
	}
	for ended, end := range end {
		for used, use := range use {
			if ended == "commit as text" && used == "AppendAll" {
				continue // pgx's own savepoint fails, with the server's error
			}
			t.Run(ended+", "+used, func(t *testing.T) {
				tx, err := pool.Begin(t.Context())
				require.NoError(t, err)
				log := store.In(tx)
				require.NoError(t, end(tx))
				require.ErrorIs(t, use(tx, log), pgx.ErrTxClosed, "outside any transaction")
				_ = tx.Rollback(t.Context())
				if ended == "commit as text" {
					return // its connection was not given back before
				}
				require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(stranger pgx.Tx) error {
					require.Same(t, tx.Conn(), stranger.Conn())
					require.ErrorIs(t, use(tx, log), pgx.ErrTxClosed, "inside a stranger's")
					return nil
				}))
			})
		}
	}
	require.Zero(t, headOf(t, store))
}

func TestASavepointsStoreEndsWithIt(t *testing.T) {
	pool, store := withTable(t)
	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		nested, err := tx.Begin(t.Context())
		require.NoError(t, err)
		log := store.In(nested)
		_, err = log.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
		require.NoError(t, nested.Rollback(t.Context()))
		_, err = log.Append(t.Context(), oneEvent("order-1"))
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		_, err = store.In(tx).Append(t.Context(), oneEvent("order-1"))
		return err
	}))
	require.EqualValues(t, 1, headOf(t, store))
}

func TestOpenRowsMustBeClosedBeforeTheStoreIsUsed(t *testing.T) {
	pool, store := withTable(t)
	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), "SELECT generate_series(1, 10)")
		require.NoError(t, err)
		require.True(t, rows.Next())
		_, err = store.In(tx).Append(t.Context(), oneEvent("order-1"))
		require.ErrorContains(t, err, "close them")
		require.NotErrorIs(t, err, eventstore.ErrStoreBusy, "it does not pass by itself")
		rows.Close()
		_, err = store.In(tx).Append(t.Context(), oneEvent("order-1"))
		return err
	}))
}

func withTable(t testing.TB) (*pgxpool.Pool, *postgres.Store) {
	t.Helper()
	pool := newPool(t)
	_, err := pool.Exec(t.Context(), "CREATE TABLE rows (id integer)")
	require.NoError(t, err)
	return pool, openOn(t, pool, postgres.Options{})
}

func oneEvent(stream eventstore.StreamID) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: "order.placed"}}}}}
}

func headOf(t *testing.T, store eventstore.Store) eventstore.Position {
	t.Helper()
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	return head.Position
}
