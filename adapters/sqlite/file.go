package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"github.com/leftfold/leftfold/eventstore"
)

// file is an open Leftfold file: one connection that writes and several that read. It
// knows transactions and nothing of what is stored in them.
type file struct {
	path    string
	writer  *pool // of one connection
	readers *pool
	watcher *pool // of one connection, see dataVersion

	// turn is held while a goroutine of ours writes. Without it our own writers would
	// compete for SQLite's lock, by sleeping, as if they were different processes.
	// slots are held by our readers. Both are waited for no longer than the caller's
	// context; what follows is not interrupted, see begin.
	turn, slots semaphore
	group       group // those who wait for the turn
	guard       guard // of the transaction of the one whose turn it is

	maxWAL, trimAt int64 // the size of the write-ahead log that is too large, and that is too large now

	// commit ends a write. Tests put a lost answer or a lost request in its place.
	commit func(*sql.Tx) error

	opened  os.FileInfo // which file it is; nil while it is being opened
	closed  atomic.Bool
	closing sync.Once
}

// commitError says that COMMIT failed. What was written may be durable or not; the
// next write transaction can see which.
type commitError struct{ cause error }

func (e *commitError) Error() string { return "commit: " + e.cause.Error() }
func (e *commitError) Unwrap() error { return e.cause }

// connect returns the file with its connections, none of them opened yet.
func connect(path string, readers int) (*file, error) {
	f := &file{path: path, turn: make(semaphore, 1), slots: make(semaphore, readers), maxWAL: maxWAL, trimAt: maxWAL, commit: (*sql.Tx).Commit}
	writing, err := f.connector("rwc", "_txlock=immediate", &f.guard)
	if err != nil {
		return nil, err
	}
	reading, err := f.connector("rw", sqliteWaits+"&_query_only=1", nil)
	if err != nil {
		return nil, err
	}
	f.writer, f.readers, f.watcher = newPool(writing, 1), newPool(reading, readers), newPool(reading, 1)
	return f, nil
}

// reader runs what reads in a transaction, of ours or of the caller's.
type reader func(ctx context.Context, do func(*transaction) error) error

// read runs do in a transaction that sees one consistent state of the file.
func (f *file) read(ctx context.Context, do func(*transaction) error) error {
	if err := f.accepting(ctx); err != nil {
		return err
	}
	if err := f.slots.take(ctx); err != nil {
		return err
	}
	defer f.slots.release()
	tx, err := f.begin(ctx, f.readers)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing was written
	return f.explain(do(tx))
}

// accepting is asked before waiting for one's turn and again afterwards.
func (f *file) accepting(ctx context.Context) error {
	if f.closed.Load() {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

// begin starts a transaction that the end of ctx does not interrupt. A commit that was
// interrupted would be one more unknown outcome; and for a read, which takes some
// microseconds, the watching would cost more than the reading.
func (f *file) begin(ctx context.Context, p *pool) (*transaction, error) {
	if err := f.accepting(ctx); err != nil {
		return nil, err
	}
	var tx *transaction
	err := patiently(ctx, func() (err error) {
		tx, err = p.begin(context.WithoutCancel(ctx))
		return err
	})
	if err != nil && f.closed.Load() { // database/sql has no exported error for this
		return nil, eventstore.ErrClosed
	}
	return tx, f.explain(err)
}

// prepare parses the statements of both kinds of connections, which also proves that
// the tables are there.
func (f *file) prepare(ctx context.Context, writing, reading []string) error {
	err := patiently(ctx, func() error { return f.writer.prepare(ctx, writing...) })
	if err == nil {
		err = f.readers.prepare(ctx, reading...)
	}
	return f.explain(err)
}

// dataVersion returns a number that changes when another connection has committed. It
// means something only when compared on one connection, hence the watcher; and it is
// not interrupted, because the driver would throw the connection away.
func (f *file) dataVersion() (version int64, err error) {
	err = f.watcher.db.QueryRowContext(context.Background(), dataVersionSQL).Scan(&version)
	return version, f.explain(err)
}

// close refuses new transactions and waits for those under way, for no longer than
// ctx; database/sql would not wait for them. The last process to close the file moves
// what is left in the write-ahead log into it.
func (f *file) close(ctx context.Context) (err error) {
	f.closing.Do(func() {
		f.closed.Store(true)
		late := errors.Join(f.turn.drain(ctx), f.slots.drain(ctx))
		err = errors.Join(f.watcher.close(), f.readers.close(), f.writer.close(), late)
	})
	return f.explain(err)
}
