package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/leftfold/leftfold/eventstore"
)

// What is wrong with the file, for errors.Is. The message names the path and says what to do.
var (
	// ErrBusy: another process has held the file's lock for too long; nothing was
	// written. It is also an [eventstore.ErrStoreBusy].
	ErrBusy = fmt.Errorf("sqlite: file is locked by another process: %w", eventstore.ErrStoreBusy)
	// ErrDiskFull: there is no space left; nothing was written.
	ErrDiskFull = errors.New("sqlite: disk is full")
	// ErrReadOnly: the file or its directory may not be written; nothing was written.
	ErrReadOnly = errors.New("sqlite: file is read-only")
	// ErrCorrupt: the file is damaged.
	ErrCorrupt = errors.New("sqlite: file is damaged")
	// ErrNotOurs: what stands at the path is not a Leftfold file; it was not touched.
	ErrNotOurs = errors.New("sqlite: not a Leftfold file")
	// ErrNewerSchema: the file was written by a newer release; it was not touched.
	ErrNewerSchema = errors.New("sqlite: file is of a newer release")
	// ErrReplaced: the file was removed, or another one put in its place, while it was
	// open; nothing was written. Close it and open it again.
	ErrReplaced = errors.New("sqlite: file was removed or replaced while it was open")
	// ErrOwnTransaction: an append outside a transaction would wait for one that its own caller
	// holds open. Append through [Store.InSQL] there.
	ErrOwnTransaction = errors.New("sqlite: append would wait for the caller's own transaction")
	// ErrStale: the transaction has read the file before another one wrote to it, so that it cannot
	// write any more; nothing was appended. Roll it back and begin it again. It is also an
	// [eventstore.ErrStoreBusy].
	ErrStale = fmt.Errorf("sqlite: the transaction has read an older state of the file: %w", eventstore.ErrStoreBusy)
	// ErrOtherFile: the transaction is on another file than the store; nothing was appended.
	ErrOtherFile = errors.New("sqlite: transaction on another file than the store's")
	// ErrNotDurable: what the transaction's connection commits would not survive a power cut;
	// nothing was appended.
	ErrNotDurable = errors.New("sqlite: commits of the transaction's connection are not durable")
	// ErrCannotOpen: there is no such directory, or it may not be used.
	ErrCannotOpen = errors.New("sqlite: cannot open the file")
)

// explain turns an error of the driver into one that tells the user what to do.
// Other errors pass as they are.
func (f *file) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	failure, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return err
	}
	advice, kind := classify(failure.Code())
	if kind == nil {
		return fmt.Errorf("sqlite: %s: %w", f.path, err)
	}
	return fmt.Errorf("%w: %s: %s (%w)", kind, f.path, advice, failure)
}

// classify maps a result code of SQLite, see https://www.sqlite.org/rescode.html. The
// low byte is the class; the rest says more than a user can act on.
func classify(code int) (advice string, kind error) {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Sprintf("waited %v; look for another program with a long transaction on it, and try again", busyTimeout), ErrBusy
	case sqlite3.SQLITE_FULL:
		return "nothing was written; free some space and try again", ErrDiskFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "nothing was written; give this user write permission for the file and its directory", ErrReadOnly
	case sqlite3.SQLITE_CORRUPT:
		return "stop every program that uses it, keep a copy of it with its -wal file, and restore a backup", ErrCorrupt
	case sqlite3.SQLITE_NOTADB:
		return "it is not an SQLite database; choose another path, or restore a backup if it once was one", ErrNotOurs
	case sqlite3.SQLITE_CANTOPEN:
		return "check that its directory exists and that this user may write there", ErrCannotOpen
	}
	return "", nil
}
