package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
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

	maxWAL, trimAt int64 // the size of the write-ahead log that is too large, and that is too large now

	// commit ends a write. Tests put a lost answer or a lost request in its place.
	commit func(*sql.Tx) error

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
	var err error
	if f.writer, err = newPool(f.dsn("rwc", "_txlock=immediate"), 1); err != nil {
		return nil, err
	}
	if f.readers, err = newPool(f.dsn("rw", sqliteWaits+"&_query_only=1"), readers); err != nil {
		return nil, err
	}
	if f.watcher, err = newPool(f.dsn("rw", sqliteWaits+"&_query_only=1"), 1); err != nil {
		return nil, err
	}
	return f, nil
}

// dsn is a URI, not a plain name, because a plain name ends at a question mark.
func (f *file) dsn(mode, more string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(f.path)}
	u.RawQuery = "mode=" + mode + "&_synchronous=FULL&" + more
	return u.String()
}

// read runs do in a transaction that sees one consistent state of the file.
func (f *file) read(ctx context.Context, do func(*transaction) error) error {
	if err := f.slots.take(ctx); err != nil {
		return err
	}
	defer f.slots.release()
	tx, err := f.begin(ctx, f.readers)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	return f.explain(do(tx))
}

// begin starts a transaction that the end of ctx does not interrupt. A commit that was
// interrupted would be one more unknown outcome; and for a read, which takes some
// microseconds, the watching would cost more than the reading.
func (f *file) begin(ctx context.Context, p *pool) (*transaction, error) {
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

// close waits for the transactions under way. The last process to close the file
// moves what is left in the write-ahead log into it.
func (f *file) close() (err error) {
	f.closing.Do(func() {
		f.closed.Store(true)
		err = errors.Join(f.watcher.close(), f.readers.close(), f.writer.close())
	})
	return f.explain(err)
}
