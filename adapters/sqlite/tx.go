package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
	"github.com/leftfold/leftfold/projection"
)

// InSQL returns the store inside the caller's transaction: what is appended through it becomes
// visible when the transaction commits, together with whatever else that wrote, or never.
//
// The transaction must be on the store's file ([ErrOtherFile]), by a connection that makes its
// commits as durable as the store's ([ErrNotDurable]), and of the driver that this package
// brings: sql.Open("sqlite", path). Two copies of SQLite in one process break each other's locks.
//
// Its first use, be it a read, takes the file's write lock, and the transaction holds it until it
// ends: meanwhile nobody else can write to the file. So do what is slow before, and commit at
// once. A lock that it cannot have within 5 seconds is [ErrBusy]. A transaction that has read the
// file before another one wrote to it cannot have the lock any more, [ErrStale]. That does
// not happen to one that begins with BEGIN IMMEDIATE (_txlock=immediate in the name of the
// database), nor to those of [Store.Transact].
//
// Every append is all or nothing, whatever its error, and the transaction can go on after it,
// unless SQLite has ended it, as on a full disk: then the error is [sql.ErrTxDone] too. Receipts
// speak of what will be if it commits. What reads through the store sees the
// transaction's own events. Inline projections are applied in the transaction. Who waits for the
// log is woken within 50 ms of the commit. Use it as the transaction, from one goroutine at a
// time. Once the transaction has ended, the store inside it gives [sql.ErrTxDone].
func (s *Store) InSQL(tx *sql.Tx) eventstore.Store { return s.in(tx) }

func (s *Store) in(tx *sql.Tx) *txStore {
	return &txStore{store: s, tx: &transaction{Tx: tx, bound: map[string]*sql.Stmt{}, callers: true}}
}

// LockIn takes the file's write lock for the transaction before the store's first use in it:
// where a transaction that did not begin with BEGIN IMMEDIATE reads tables of its own first. The
// errors are those of [Store.InSQL].
func (s *Store) LockIn(ctx context.Context, tx *sql.Tx) error { return s.in(tx).enter(ctx) }

// Transact runs f in a transaction of the database, which must be the store's file, and commits it
// unless f fails. It hands f the transaction, which has the file's write lock from the start, and
// the store inside it. Under the ctx that f is given, an append to the store itself is refused
// with [ErrOwnTransaction]: it would wait for this transaction to end. Who waits for the log is
// woken at once.
//
// An error of the commit may leave open whether it happened; a command id tells.
func (s *Store) Transact(ctx context.Context, db interface {
	BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error)
}, f func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error) error {
	var tx *sql.Tx
	err := patiently(ctx, func() (err error) {
		tx, err = db.BeginTx(ctx, nil)
		return err
	})
	if err != nil {
		return s.file.explain(err)
	}
	defer func() { _ = tx.Rollback() }() // without effect once committed
	in := s.in(tx)
	if err := in.enter(ctx); err != nil {
		return err
	}
	if err := f(context.WithValue(ctx, ownTransaction{s.file}, true), tx, in); err != nil {
		return err
	}
	if err := s.file.inPlace(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", s.file.explain(err))
	}
	s.appended()
	return nil
}

// ownTransaction marks the context of a transaction on a file.
type ownTransaction struct{ file *file }

// txStore is a store inside a transaction.
type txStore struct {
	store  *Store
	tx     *transaction
	locked bool // it is one of ours, and has the lock
}

// use runs do in the transaction.
func (t *txStore) use(ctx context.Context, do func(*transaction) error) error {
	if err := t.enter(ctx); err != nil {
		return err
	}
	return t.store.file.explain(do(t.tx))
}

// enter makes sure that the transaction is open, and one of the store's file that has the lock.
func (t *txStore) enter(ctx context.Context) error {
	f := t.store.file
	if err := f.accepting(ctx); err != nil {
		return err
	}
	if err := f.inPlace(); err != nil {
		return err
	}
	if err := checkOpen(t.tx.Tx); err != nil || t.locked {
		return f.explain(err)
	}
	// The lock first: the checks read, and what has read may be too old for the lock.
	if err := t.lock(ctx); err != nil {
		return err
	}
	if err := t.checkFile(ctx); err != nil {
		return f.explain(err)
	}
	t.locked = true
	return nil
}

var errOtherDriver = errors.New(`sqlite: the transaction is of another driver than modernc.org/sqlite: open the database with sql.Open("sqlite", …)`)

// checkOpen makes sure that the transaction has not ended: whatever ran then would be committed,
// statement by statement. SQLite ends a transaction by itself on some errors, and a COMMIT may
// have been sent as text; database/sql knows of neither. A second BEGIN tells: inside a
// transaction it fails, and does nothing. Its error tells the driver, too.
func checkOpen(tx *sql.Tx) error {
	ctx := context.Background() // an interrupted statement would end the connection
	_, err := tx.ExecContext(ctx, "BEGIN")
	if err == nil {
		_, err = tx.ExecContext(ctx, "ROLLBACK")
		return errors.Join(fmt.Errorf("sqlite: %w: the store inside a transaction ends with it; take another with Store.InSQL for the next one", sql.ErrTxDone), err)
	}
	failure, ours := errors.AsType[*driver.Error](err)
	switch {
	case errors.Is(err, sql.ErrTxDone):
		return fmt.Errorf("sqlite: %w: the store inside a transaction ends with it; take another with Store.InSQL for the next one", err)
	case !ours:
		return fmt.Errorf("%w (%w)", errOtherDriver, err)
	case failure.Code() != sqlite3.SQLITE_ERROR:
		return err
	}
	return nil
}

// lock takes the write lock. SQLite would not wait for it on a connection without a timeout, and
// need not be asked again once the transaction is out of date.
func (t *txStore) lock(ctx context.Context) error {
	var stale error
	err := patiently(ctx, func() error {
		err := t.tx.exec(ctx, lockSQL)
		if failure, ok := errors.AsType[*driver.Error](err); ok && failure.Code() == sqlite3.SQLITE_BUSY_SNAPSHOT {
			stale = err
			return nil
		}
		return err
	})
	if stale != nil {
		return fmt.Errorf("%w: %s: roll it back and begin it again, with BEGIN IMMEDIATE (_txlock=immediate) or by Store.Transact (%w)", ErrStale, t.store.file.path, stale)
	}
	failure, ok := errors.AsType[*driver.Error](err)
	if ok && failure.Code()&0xff == sqlite3.SQLITE_ERROR { // there is no such table
		return fmt.Errorf("%w: it has no table of a store (%w)", ErrOtherFile, err)
	}
	return t.store.file.explain(err)
}

// checkFile holds the transaction's file against the store's. A copy has the same path nowhere,
// and one that was put in the place of the other has another store.
func (t *txStore) checkFile(ctx context.Context) error {
	const full = 2
	var path string
	var synchronous int
	if _, err := t.tx.find(ctx, mainFileSQL, nil, &path, &synchronous); err != nil {
		return err
	}
	ours := t.store.file
	if theirs, err := os.Stat(path); err != nil || !os.SameFile(theirs, ours.opened) {
		return fmt.Errorf("%w: it is on %q, the store on %s", ErrOtherFile, path, ours.path)
	}
	there, err := head(ctx, t.tx)
	if err != nil {
		return err
	}
	here, err := t.store.Head(ctx)
	if err != nil {
		return err
	}
	if there.Identity != here.Identity {
		return fmt.Errorf("%w: it is on a file that was at %s before", ErrOtherFile, ours.path)
	}
	if synchronous < full {
		return fmt.Errorf("%w: synchronous is %d on the transaction's connection, want %d (FULL), which is the default", ErrNotDurable, synchronous, full)
	}
	return nil
}

func (t *txStore) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	prepared, err := request.Prepare(t.store.limits)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return t.append(ctx, prepared)
}

func (t *txStore) DeleteStream(ctx context.Context, stream eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	request, err := tombstone(stream, expected)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return t.append(ctx, request)
}

// append appends in a savepoint, so that nothing stays of an append that fails half-way and whose
// caller commits all the same.
func (t *txStore) append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	if ctx.Value(insideInline{t.store.file}) != nil {
		return eventstore.Receipt{}, errInsideInline
	}
	one := groupcommit.NewPending(request)
	err := t.use(ctx, func(tx *transaction) error {
		if err := tx.exec(ctx, savepointAppendSQL); err != nil {
			return err
		}
		_, err := t.store.appender.add(ctx, tx, []*groupcommit.Pending{one})
		if refused, ok := errors.AsType[*projection.InlineRefusalError](err); ok {
			err = refused.Appends[0]
		}
		if err == nil {
			err = one.Err
		}
		if err == nil {
			return tx.exec(ctx, releaseAppendSQL)
		}
		if failure := undo(ctx, tx); failure != nil {
			return errors.Join(err, failure)
		}
		return err
	})
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return one.Receipt, nil
}

// undo takes back what was written in the savepoint of an append.
func undo(ctx context.Context, tx *transaction) error {
	if err := tx.exec(ctx, rollBackToAppendSQL); err != nil {
		return errors.Join(err, checkOpen(tx.Tx))
	}
	return tx.exec(ctx, releaseAppendSQL)
}

func (t *txStore) LookupCommand(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error) {
	return reader(t.use).lookup(ctx, c)
}

func (t *txStore) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return reader(t.use).stream(ctx, stream, in)
}

func (t *txStore) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	return reader(t.use).log(ctx, query)
}

func (t *txStore) Head(ctx context.Context) (eventstore.Token, error) {
	return reader(t.use).head(ctx)
}
