package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// applicationID marks our files in the header of SQLite ("Left" in ASCII).
const applicationID = 0x4c656674

// opening is held while a file is being opened. Looking at a file without a trace takes
// no locks, and when it closes its descriptor, POSIX drops every lock that this process
// has on the file. Once a file is open it has a -wal, and is not looked at in that way;
// but another goroutine may just be creating it, and would lose its lock half-way.
var opening sync.Mutex

// openFile opens a Leftfold file, creates it if there is none, and brings its schema up
// to date. What is not ours is refused before anything is written to it.
func openFile(ctx context.Context, path string, readers int) (*file, error) {
	path, err := checkPath(path)
	if err != nil {
		return nil, err
	}
	f, err := connect(path, readers)
	if err != nil {
		return nil, err
	}
	opening.Lock()
	defer opening.Unlock()
	if err := f.ready(ctx); err != nil {
		_ = f.close(ctx) // the first error tells more
		return nil, err
	}
	return f, nil
}

func (f *file) ready(ctx context.Context) error {
	if err := f.inspect(ctx); err != nil {
		return err
	}
	if err := f.enterWAL(ctx); err != nil {
		return err
	}
	if err := f.migrate(ctx); err != nil {
		return err
	}
	if err := f.checkDurable(ctx); err != nil {
		return err
	}
	opened, err := os.Stat(f.path)
	f.opened = opened
	return err
}

// checkPath refuses what SQLite would misread or explain badly.
func checkPath(path string) (string, error) {
	if path == "" || path == ":memory:" {
		return "", fmt.Errorf("%w: %q is not the path of a file; for a store in memory use adapters/memory", ErrCannotOpen, path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrCannotOpen, path, err)
	}
	switch info, err := os.Stat(absolute); {
	case errors.Is(err, fs.ErrNotExist):
		return absolute, checkDirectory(absolute)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrCannotOpen, err)
	case info.IsDir():
		return "", fmt.Errorf("%w: %s is a directory; give the path of a file in it, such as %s", ErrNotOurs, absolute, filepath.Join(absolute, "leftfold.db"))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%w: %s is not a regular file", ErrNotOurs, absolute)
	}
	return filepath.EvalSymlinks(absolute) // SQLite puts the -wal beside the real file
}

func checkDirectory(path string) error {
	directory := filepath.Dir(path)
	info, err := os.Stat(directory)
	if err != nil {
		return fmt.Errorf("%w: %s: create the directory first: %w", ErrCannotOpen, path, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s: %s is not a directory", ErrCannotOpen, path, directory)
	}
	return nil
}

// inspect refuses a file that is not ours. It asks SQLite, on a connection that cannot
// write, and does not read the header itself: the header of a database that another
// process has just created may still be in its write-ahead log.
func (f *file) inspect(ctx context.Context) error {
	if !exists(f.path) {
		return nil
	}
	look, err := f.lookingPool()
	if err != nil {
		return err
	}
	defer look.close() // it was only read
	tx, err := look.begin(ctx)
	if err != nil {
		return f.explain(err)
	}
	defer tx.Rollback() // it was only read
	_, err = f.recognise(ctx, tx)
	return f.explain(err)
}

// lookingPool returns a connection that can only read.
func (f *file) lookingPool() (*pool, error) {
	looking, err := f.connector("ro", sqliteWaits+"&_query_only=1"+f.leaveNoTrace(), nil)
	if err != nil {
		return nil, err
	}
	return newPool(looking, 1), nil
}

// leaveNoTrace keeps SQLite from putting a -wal and a -shm file beside a file that may
// belong to somebody else. With a write-ahead log there already, they must be used.
func (f *file) leaveNoTrace() string {
	if exists(f.path + "-wal") {
		return ""
	}
	return "&immutable=1"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// recognise returns the file's schema version, 0 for a new file.
func (f *file) recognise(ctx context.Context, tx *transaction) (schema int, err error) {
	var application, objects int
	if _, err := tx.find(ctx, recogniseSQL, nil, &application, &schema, &objects); err != nil {
		return 0, err
	}
	switch isNew := application == 0 && schema == 0 && objects == 0; {
	case application != applicationID && !isNew:
		return 0, fmt.Errorf("%w: %s is the SQLite database of another program; choose another path", ErrNotOurs, f.path)
	case schema > latestSchema:
		return 0, fmt.Errorf("%w: %s has schema %d and this program knows %d; upgrade the program", ErrNewerSchema, f.path, schema, latestSchema)
	}
	return schema, nil
}

// enterWAL turns on the write-ahead log, which the file remembers. Two processes that
// create the file at once may collide here.
func (f *file) enterWAL(ctx context.Context) error {
	var mode string
	err := patiently(ctx, func() error {
		return f.writer.db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
	})
	if err != nil {
		return f.explain(err)
	}
	if mode != "wal" {
		return fmt.Errorf("%w: %s: SQLite cannot keep a write-ahead log there (journal mode is %s); use a local disk", ErrCannotOpen, f.path, mode)
	}
	return nil
}

// synchronousFull is what PRAGMA synchronous says of it.
const synchronousFull = 2

// checkDurable makes sure that a commit is fsynced before it is acknowledged, whatever
// the driver makes of our DSN.
func (f *file) checkDurable(ctx context.Context) error {
	var synchronous int
	if err := f.writer.db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return f.explain(err)
	}
	if synchronous != synchronousFull {
		return fmt.Errorf("sqlite: %s: synchronous is %d, want %d (FULL): commits would not survive a power cut", f.path, synchronous, synchronousFull)
	}
	return nil
}
