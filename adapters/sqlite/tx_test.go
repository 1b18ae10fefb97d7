package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
)

func TestTransactionsOfTheCaller(t *testing.T) {
	eventstoretest.RunTransactions(t, func(t testing.TB) eventstoretest.Transactions {
		store, db := withTable(t)
		return transactionsOn(store, db)
	})
}

func transactionsOn(store *sqlite.Store, db *sql.DB) eventstoretest.Transactions {
	return eventstoretest.Transactions{
		Store: store,
		Begin: func(ctx context.Context) (eventstoretest.Transaction, error) {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return eventstoretest.Transaction{}, err
			}
			return eventstoretest.Transaction{
				Log:      store.InSQL(tx),
				PutRow:   func(ctx context.Context) error { return putRow(ctx, tx) },
				Commit:   func(context.Context) error { return tx.Commit() },
				Rollback: func(context.Context) error { return tx.Rollback() },
			}, nil
		},
		Rows: func(ctx context.Context) (n int, err error) {
			err = db.QueryRowContext(ctx, "SELECT count(*) FROM mine").Scan(&n)
			return n, err
		},
		Ended: sql.ErrTxDone,
	}
}

func TestMutantsOfTransactionsAreCaught(t *testing.T) {
	type begun func(tx eventstoretest.Transaction, store *sqlite.Store, db *sql.DB) eventstoretest.Transaction
	for name, mutant := range map[string]struct {
		plant begun
		rule  string
	}{
		"the row is put outside": {func(tx eventstoretest.Transaction, _ *sqlite.Store, db *sql.DB) eventstoretest.Transaction {
			tx.PutRow = func(ctx context.Context) error { return putRow(ctx, db) }
			return tx
		}, "a row and its events are gone together after the rollback, and leave no gap"},
		"the events are appended outside": {func(tx eventstoretest.Transaction, store *sqlite.Store, _ *sql.DB) eventstoretest.Transaction {
			put, commit := tx.PutRow, tx.Commit
			tx.Log, tx.PutRow = store, func(context.Context) error { return nil }
			tx.Commit = func(ctx context.Context) error { return errors.Join(put(ctx), commit(ctx)) }
			return tx
		}, "a transaction sees its own events, and nobody else does before the commit"},
		"a refusal ends the transaction": {func(tx eventstoretest.Transaction, _ *sqlite.Store, _ *sql.DB) eventstoretest.Transaction {
			tx.Log = endsOnRefusal{tx.Log, tx.Rollback}
			return tx
		}, "a refusal leaves the transaction usable, and nothing of the append in it"},
	} {
		t.Run(name, func(t *testing.T) {
			store, db := withTable(t)
			in := transactionsOn(store, db)
			begin := in.Begin
			in.Begin = func(ctx context.Context) (eventstoretest.Transaction, error) {
				tx, err := begin(ctx)
				t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
				return mutant.plant(tx, store, db), err
			}
			require.Error(t, eventstoretest.CheckTransactions(t, in, mutant.rule), "the mutant survived")
		})
	}
}

type endsOnRefusal struct {
	eventstore.Store
	end func(context.Context) error
}

func (e endsOnRefusal) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, err := e.Store.Append(ctx, request)
	if err != nil {
		err = errors.Join(err, e.end(ctx))
	}
	return receipt, err
}

// The whole suite of stores, on one whose appends are made in transactions of a caller.
func TestTortureConformanceOfAppendsInTransactionsOfTheCaller(t *testing.T) {
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		store, db := withTable(t)
		return inTransactions{store, db}
	}, eventstoretest.Options{Divisor: 20})
}

// inTransactions makes every append in a transaction of its own.
type inTransactions struct {
	*sqlite.Store
	db *sql.DB
}

func (s inTransactions) Append(ctx context.Context, request eventstore.AppendRequest) (receipt eventstore.Receipt, err error) {
	failed := s.Transact(ctx, s.db, func(ctx context.Context, _ *sql.Tx, log eventstore.Store) error {
		receipt, err = log.Append(ctx, request)
		return nil
	})
	if failed != nil {
		return eventstore.Receipt{}, failed
	}
	return receipt, err
}

func (s inTransactions) DeleteStream(ctx context.Context, stream eventstore.StreamID, expected eventstore.ExpectedVersion) (receipt eventstore.Receipt, err error) {
	failed := s.Transact(ctx, s.db, func(ctx context.Context, _ *sql.Tx, log eventstore.Store) error {
		receipt, err = log.(eventstore.StreamDeleter).DeleteStream(ctx, stream, expected)
		return nil
	})
	return receipt, errors.Join(failed, err)
}

func TestTransactCommitsOrRollsBackAll(t *testing.T) {
	store, db := withTable(t)
	errChangedMind := errors.New("changed my mind")
	for _, end := range []error{nil, errChangedMind} {
		err := store.Transact(t.Context(), db, func(ctx context.Context, tx *sql.Tx, log eventstore.Store) error {
			require.NoError(t, putRow(ctx, tx))
			_, err := log.Append(ctx, loneEvent("order-1"))
			require.NoError(t, err)
			return end
		})
		require.ErrorIs(t, err, end)
	}
	require.Panics(t, func() {
		_ = store.Transact(t.Context(), db, func(ctx context.Context, _ *sql.Tx, log eventstore.Store) error {
			_, err := log.Append(ctx, loneEvent("order-1"))
			require.NoError(t, err)
			panic("in the middle")
		})
	})
	rows, err := transactionsOn(store, db).Rows(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, rows)
	require.EqualValues(t, 1, headOf(t, store))
}

func TestAnAppendThatWouldWaitForItsOwnTransactionIsRefused(t *testing.T) {
	store, db := withTable(t)
	require.NoError(t, store.Transact(t.Context(), db, func(ctx context.Context, _ *sql.Tx, log eventstore.Store) error {
		_, err := store.Append(ctx, loneEvent("order-1"))
		require.ErrorIs(t, err, sqlite.ErrOwnTransaction)
		_, err = store.DeleteStream(ctx, "order-1", eventstore.Any)
		require.ErrorIs(t, err, sqlite.ErrOwnTransaction)
		_, err = log.Append(ctx, loneEvent("order-1"))
		return err
	}))
}

// A transaction that reads first, without a lock, may be too late to write.
func TestATransactionThatHasReadAnOlderStateIsToldSo(t *testing.T) {
	store, db := withTable(t)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	var n int
	require.NoError(t, tx.QueryRow("SELECT count(*) FROM mine").Scan(&n))
	_, err = store.Append(t.Context(), loneEvent("order-1"))
	require.NoError(t, err)

	_, err = store.InSQL(tx).Append(t.Context(), loneEvent("order-1"))
	require.ErrorIs(t, err, sqlite.ErrStale)
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.NotErrorIs(t, err, sqlite.ErrBusy, "to wait does not help")
	require.NoError(t, tx.Rollback())

	tx, err = db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	require.NoError(t, store.LockIn(t.Context(), tx))
	require.NoError(t, tx.QueryRow("SELECT count(*) FROM mine").Scan(&n))
	_, err = store.InSQL(tx).Append(t.Context(), loneEvent("order-1"))
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
}

func TestATransactionWaitsForTheLock(t *testing.T) {
	store, db := withTable(t)
	holder, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, store.LockIn(t.Context(), holder))
	began, appended := make(chan struct{}), make(chan error, 1)
	go func() {
		close(began)
		_, err := inTransactions{store, db}.Append(t.Context(), loneEvent("order-1"))
		appended <- err
	}()
	<-began
	require.NoError(t, holder.Rollback())
	require.NoError(t, <-appended)

	holder, err = db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, store.LockIn(t.Context(), holder))
	defer holder.Rollback()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.LockIn(ctx, tx), context.Canceled, "no longer than its context")
}

// Decisions in transactions that begin without the lock: the load takes it, so that none is stale.
func TestDecisionsInTransactionsTakeTurns(t *testing.T) {
	type counted struct{}
	counters := aggregate.Define("counter", func(_ counted, n *int) { *n++ }, codec.Event[counted]("counter.counted"))
	store, db := withTable(t)
	repository := aggregate.NewRepository(store, counters)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() {
			for range 5 {
				tx, err := db.BeginTx(t.Context(), nil)
				if err == nil {
					_, err = repository.With(store.InSQL(tx)).Execute(t.Context(), "1", func(int) ([]counted, error) { return []counted{{}}, nil }, aggregate.NoRetry())
				}
				if err == nil {
					err = errors.Join(putRow(t.Context(), tx), tx.Commit())
				}
				errs[n] = errors.Join(errs[n], err)
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	counter, _, err := repository.Load(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, 40, counter)
	rows, err := transactionsOn(store, db).Rows(t.Context())
	require.NoError(t, err)
	require.Equal(t, 40, rows)
}

func TestATransactionThatIsNotOfTheStoresFileIsRefused(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path)
	_, err := store.Append(t.Context(), loneEvent("order-1"))
	require.NoError(t, err)
	copied := newPath(t)
	db := openDB(t, path, "")
	_, err = db.ExecContext(t.Context(), "VACUUM INTO ?", copied)
	require.NoError(t, err)
	openStore(t, copied)
	for name, c := range map[string]struct {
		path, parameters string
		want             error
	}{
		"a copy of it":              {copied, "", sqlite.ErrOtherFile},
		"a file without a store":    {newPath(t), "", sqlite.ErrOtherFile},
		"a database in memory":      {":memory:", "", sqlite.ErrOtherFile},
		"one that does not flush":   {path, "?_pragma=synchronous(NORMAL)", sqlite.ErrNotDurable},
		"one that must not write":   {path, "?_pragma=query_only(1)", sqlite.ErrReadOnly},
		"the same by another route": {path, "?_pragma=synchronous(EXTRA)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := openDB(t, c.path, c.parameters).BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer tx.Rollback()
			_, err = store.InSQL(tx).Append(t.Context(), loneEvent("order-1"))
			require.ErrorIs(t, err, c.want)
		})
	}
	require.EqualValues(t, 1, headOf(t, store))
}

func TestATransactionOnAFileThatWasReplacedIsRefused(t *testing.T) {
	path := newPath(t)
	store, db := openStore(t, path), openDB(t, path, "")
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	require.NoError(t, os.Rename(path, path+".old"))
	_, err = store.InSQL(tx).Append(t.Context(), loneEvent("order-1"))
	require.ErrorIs(t, err, sqlite.ErrReplaced)
	require.NoError(t, os.Rename(path+".old", path))
}

// An append may fail in the middle, and its caller commit all the same.
func TestNothingStaysOfAnAppendThatFails(t *testing.T) {
	store, db := withTable(t)
	db.SetMaxOpenConns(1) // which has the triggers
	for tag, raise := range map[string]string{"bad:1": "ABORT", "bad:2": "FAIL", "bad:3": "ROLLBACK"} {
		_, err := db.ExecContext(t.Context(), `CREATE TEMP TRIGGER fails_`+raise+` BEFORE INSERT ON main.event_tags
			WHEN new.tag = '`+tag+`' BEGIN SELECT RAISE(`+raise+`, 'no'); END`)
		require.NoError(t, err)
	}
	request := func(tag eventstore.Tag) eventstore.AppendRequest {
		r := loneEvent("order-1")
		r.Writes[0].Events = append(r.Writes[0].Events, eventstore.EventData{Type: "bad", Tags: []eventstore.Tag{tag}})
		return r
	}
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	log := store.InSQL(tx)
	require.NoError(t, putRow(t.Context(), tx))
	for _, tag := range []eventstore.Tag{"bad:1", "bad:2"} {
		_, err = log.Append(t.Context(), request(tag))
		require.ErrorContains(t, err, "insert tag")
		require.NotErrorIs(t, err, sql.ErrTxDone)
	}
	require.NoError(t, tx.Commit())
	require.Zero(t, headOf(t, store))

	// SQLite ends the transaction by itself, and database/sql does not know.
	tx, err = db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	log = store.InSQL(tx)
	_, err = log.Append(t.Context(), request("bad:3"))
	require.ErrorIs(t, err, sql.ErrTxDone)
	_, err = log.Append(t.Context(), loneEvent("order-1"))
	require.ErrorIs(t, err, sql.ErrTxDone, "it would be committed at once")
	require.Error(t, tx.Commit())
	require.Zero(t, headOf(t, store))
}

func TestAStoreInsideATransactionThatWasEndedByTextIsRefused(t *testing.T) {
	store, db := withTable(t)
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		log := store.InSQL(tx)
		_, err = log.Head(t.Context())
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), end)
		require.NoError(t, err)
		_, err = log.Append(t.Context(), loneEvent("order-1"))
		require.ErrorIs(t, err, sql.ErrTxDone)
		_ = tx.Rollback()
	}
	require.Zero(t, headOf(t, store))
}

func TestInlineProjectionsAreAppliedInTheCallersTransaction(t *testing.T) {
	path := newPath(t)
	errNotToday := errors.New("not today")
	handler := projection.NewHandler("counts", projection.HandlerOptions{Version: 1}, func(ctx context.Context, tx *sql.Tx, e eventstore.Recorded) error {
		switch e.Type {
		case "refused":
			return errNotToday
		case "ends the transaction":
			_, err := tx.ExecContext(ctx, "ROLLBACK")
			return err
		}
		return addOne(ctx, tx, string(e.Stream))
	})
	store := openWith(t, path, sqlite.Options{Inline: projection.Inline[*sql.Tx]{Handlers: []*projection.Handler[*sql.Tx]{handler}}})
	db := openDB(t, path, "")
	_, err := db.ExecContext(t.Context(), "CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER)")
	require.NoError(t, err)
	other := openStore(t, path)
	require.NoError(t, store.SwitchInline(t.Context()))
	count := func() (n int) {
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT coalesce(sum(n), 0) FROM counters").Scan(&n))
		return n
	}
	typed := func(kind string) eventstore.AppendRequest {
		r := loneEvent("order-1")
		r.Writes[0].Events[0].Type = kind
		return r
	}
	require.NoError(t, store.Transact(t.Context(), db, func(ctx context.Context, tx *sql.Tx, log eventstore.Store) error {
		_, err := log.Append(ctx, typed("refused"))
		require.ErrorIs(t, err, errNotToday)
		for range 2 {
			_, err = log.Append(ctx, typed("counted"))
			require.NoError(t, err)
		}
		_, err = other.InSQL(tx).Append(ctx, typed("counted"))
		require.ErrorIs(t, err, projection.ErrInlineMismatch, "a program that would pass the projection by")
		require.Zero(t, count(), "outside")
		return nil
	}))
	require.Equal(t, 2, count())
	require.EqualValues(t, 2, headOf(t, store))

	err = store.Transact(t.Context(), db, func(ctx context.Context, _ *sql.Tx, log eventstore.Store) error {
		_, err := log.Append(ctx, typed("ends the transaction"))
		require.ErrorIs(t, err, sql.ErrTxDone)
		return nil
	})
	require.Error(t, err)
	require.EqualValues(t, 2, headOf(t, store))
	_, err = store.Append(t.Context(), typed("counted"))
	require.NoError(t, err, "the checkpoint is where the log is")
	require.Equal(t, 3, count())
}

// Inside of an append, an append would wait for itself.
func TestAHandlerThatAppendsInsideOfAnAppendIsRefused(t *testing.T) {
	path := newPath(t)
	var store *sqlite.Store
	handler := projection.NewHandler("appends", projection.HandlerOptions{Version: 1}, func(ctx context.Context, tx *sql.Tx, _ eventstore.Recorded) error {
		for _, log := range []eventstore.Store{store, store.InSQL(tx)} {
			if _, err := log.Append(ctx, loneEvent("order-2")); !errors.Is(err, sqlite.ErrOwnTransaction) {
				return errors.Join(errors.New("it was not refused"), err)
			}
		}
		return nil
	})
	store = openWith(t, path, sqlite.Options{Inline: projection.Inline[*sql.Tx]{Handlers: []*projection.Handler[*sql.Tx]{handler}}})
	require.NoError(t, store.SwitchInline(t.Context()))
	_, err := store.Append(t.Context(), loneEvent("order-1"))
	require.NoError(t, err)
	_, err = inTransactions{store, openDB(t, path, "")}.Append(t.Context(), loneEvent("order-1"))
	require.NoError(t, err)
}

func TestAClosedStoreTakesNoAppendsInTransactions(t *testing.T) {
	store, db := withTable(t)
	require.NoError(t, store.Close(t.Context()))
	_, err := inTransactions{store, db}.Append(t.Context(), loneEvent("order-1"))
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

// withTable opens a store and a database of the caller's on the same file.
func withTable(t testing.TB) (*sqlite.Store, *sql.DB) {
	t.Helper()
	path := newPath(t)
	store, db := openStore(t, path), openDB(t, path, "")
	_, err := db.ExecContext(t.Context(), "CREATE TABLE mine (id INTEGER PRIMARY KEY)")
	require.NoError(t, err)
	return store, db
}

func openDB(t testing.TB, path, parameters string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path+parameters)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func putRow(ctx context.Context, on interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}) error {
	_, err := on.ExecContext(ctx, "INSERT INTO mine DEFAULT VALUES")
	return err
}

func loneEvent(stream eventstore.StreamID) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: "order.placed"}}}}}
}

func headOf(t *testing.T, store eventstore.Store) eventstore.Position {
	t.Helper()
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	return head.Position
}

// The context of an append may end at any moment of it, and its caller commit all the same. In
// the last round it does not end.
func TestAnAppendWhoseContextEndsAnywhereIsMadeWholeOrNotAtAll(t *testing.T) {
	store, db := withTable(t)
	_, err := store.Append(t.Context(), loneEvent("order-0"))
	require.NoError(t, err)
	for looks := 1; ; looks++ {
		require.Less(t, looks, 200, "the context is looked at a few times")
		before := headOf(t, store)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		ending := newEnding(t.Context(), looks)
		stream := eventstore.StreamID(fmt.Sprint("order-", looks))
		_, failed := store.InSQL(tx).Append(ending, eventstore.AppendRequest{
			Command:   eventstore.Command{ID: eventstore.NewCommandID(string(stream))},
			Writes:    []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: "placed"}, {Type: "paid", Tags: []eventstore.Tag{"by:card"}}}}},
			Condition: &eventstore.Condition{FailIf: eventstore.Tagged("by:cash")},
		})
		require.NoError(t, tx.Commit())
		if failed == nil {
			require.Equal(t, before+2, headOf(t, store))
		} else {
			require.ErrorIs(t, failed, context.Canceled)
			require.Equal(t, before, headOf(t, store), "not appended, says the error of the context")
		}
		if ending.Err() == nil {
			return
		}
	}
}

// ending is a context that ends when it has been looked at so many times.
type ending struct {
	context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	looks  int
}

func newEnding(parent context.Context, looks int) *ending {
	ctx, cancel := context.WithCancel(parent)
	return &ending{Context: ctx, cancel: cancel, looks: looks}
}

func (e *ending) Done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.looks--; e.looks == 0 {
		e.cancel()
	}
	return e.Context.Done()
}
