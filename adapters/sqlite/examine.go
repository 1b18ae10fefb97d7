package sqlite

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/leftfold/leftfold/checkup"
)

// Examine tells whether a file, and what it stands on, are fit for a log or for read models. It only reads: a file of an
// older release stays as it is, and nothing is put beside it. The whole file is read once, to see that it is not
// damaged: a gigabyte takes seconds.
//
// A program that has the file open meanwhile goes on. The process that calls Examine must not have it open itself where
// the file has no -wal: when it closes what it has looked at, locks of the process are gone.
func Examine(ctx context.Context, path string) []checkup.Finding {
	path, err := checkPath(path)
	if err == nil && !exists(path) {
		err = errors.New("there is no such file")
	}
	if err != nil {
		return []checkup.Finding{checkup.Fail("file", "name the file of the store", "%v", err)}
	}
	all := append(examineFile(path), examineDisk(path)...)
	opening.Lock()
	defer opening.Unlock()
	f := &file{path: path}
	look, err := f.lookingPool()
	if err != nil {
		return append(all, checkup.Unsure("contents", "see what was found", "%v", err))
	}
	defer look.close() // it was only read
	return append(all, f.examine(ctx, look)...)
}

// examineFile looks at what the file system says of the file.
func examineFile(path string) []checkup.Finding {
	return []checkup.Finding{
		checkup.Ask("permissions", func() (checkup.Finding, error) {
			info, err := os.Stat(path)
			if err != nil {
				return checkup.Finding{}, err
			}
			if others := info.Mode().Perm() & 0o002; others != 0 {
				return checkup.Warn("", "take the right from them, by chmod o-w", "every user of this machine may write to it (%s)", info.Mode().Perm()), nil
			}
			return checkup.Fine("", "they are %s", info.Mode().Perm()), nil
		}),
		checkup.Ask("write-ahead log", func() (checkup.Finding, error) {
			info, err := os.Stat(path + "-wal")
			switch {
			case errors.Is(err, os.ErrNotExist):
				return checkup.Fine("", "there is none: no program has the file open, and a copy of it is whole"), nil
			case err != nil:
				return checkup.Finding{}, err
			case info.Size() > 4*maxWAL:
				return checkup.Warn("", "look for a read or a transaction that does not end, in any program that has the file open", "it has %d MB: somebody keeps it from being emptied", info.Size()>>20), nil
			}
			return checkup.Fine("", "it has %d kB: what copies the file must copy %s-wal at the same moment; leftfold export makes a copy at any time", info.Size()>>10, path), nil
		}),
	}
}

// examine asks SQLite.
func (f *file) examine(ctx context.Context, look *pool) []checkup.Finding {
	tx, err := look.begin(ctx)
	if err == nil {
		defer tx.Rollback() // it was only read
	}
	schema := 0
	if err == nil {
		schema, err = f.recognise(ctx, tx)
	}
	err = f.explain(err)
	switch {
	case errors.Is(err, ErrNotOurs) || errors.Is(err, ErrNewerSchema) || errors.Is(err, ErrCorrupt):
		return []checkup.Finding{checkup.Fail("contents", "see what was found", "%v", err)}
	case err != nil:
		return []checkup.Finding{checkup.Unsure("contents", "see what was found", "%v", err)}
	case schema == 0:
		return []checkup.Finding{checkup.Fail("contents", "name the file of the store", "it is empty: nothing was ever kept in it")}
	}
	ask := func(check, pragma string, into any, judge func() checkup.Finding) checkup.Finding {
		return checkup.Ask(check, func() (checkup.Finding, error) {
			if err := tx.QueryRowContext(ctx, pragma).Scan(into); err != nil {
				return checkup.Finding{}, f.explain(err)
			}
			return judge(), nil
		})
	}
	var damage string
	var synchronous int
	all := []checkup.Finding{
		checkup.Ask("journal mode", func() (checkup.Finding, error) {
			mode, err := f.journalMode(ctx, tx)
			if err == nil && mode != "wal" {
				return checkup.Warn("", "let nothing but Leftfold set the journal mode; the next program that opens it turns the write-ahead log on again", "it is %s, not wal", mode), nil
			}
			return checkup.Fine("", "it is wal"), err
		}),
		ask("synchronous", "PRAGMA synchronous", &synchronous, func() checkup.Finding {
			if synchronous != synchronousFull {
				return checkup.Fail("", "use the driver that this release was built with", "it is %d, not %d (FULL): a power cut loses events that were acknowledged", synchronous, synchronousFull)
			}
			return checkup.Fine("", "it is FULL: a commit is on disk before it is acknowledged")
		}),
		ask("integrity", "PRAGMA quick_check(1)", &damage, func() checkup.Finding {
			if damage != "ok" {
				return checkup.Fail("", "stop what writes to it, keep a copy, and restore a backup", "it is damaged: %s", strings.ReplaceAll(damage, "\n", " "))
			}
			return checkup.Fine("", "no page is damaged")
		}),
	}
	if schema < latestSchema {
		return append(all, checkup.Warn("schema", "open it with a program of this release, which brings it up to date", "it is at schema %d, and this release has %d", schema, latestSchema))
	}
	return append(all, checkup.Fine("schema", "it is what this program needs"))
}

// journalMode asks SQLite where the file has a -wal. Where it has none the connection takes it for a file that
// nobody writes, of which SQLite says delete: there the header tells, in its byte 18. See https://www.sqlite.org/fileformat.html.
func (f *file) journalMode(ctx context.Context, tx *transaction) (mode string, err error) {
	if exists(f.path + "-wal") {
		err = tx.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
		return mode, f.explain(err)
	}
	content, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer func() { _ = content.Close() }() // it was only read
	version := make([]byte, 1)
	if _, err := content.ReadAt(version, 18); err != nil {
		return "", err
	}
	if version[0] == 2 {
		return "wal", nil
	}
	return "delete", nil
}
