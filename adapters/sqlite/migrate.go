package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
)

// migrations are the steps of the schema, numbered from 1 in their names. A released
// step is never edited: files that have taken it would differ from those that have not.
//
//go:embed migrations/*.sql
var migrations embed.FS

var (
	migrationNames = mustGlob(migrations, "migrations/*.sql")
	latestSchema   = len(migrationNames)
)

// migrate brings the schema up to date in one transaction. Of two processes that open
// a new file at once, the second waits for the lock and finds the work done.
func (f *file) migrate(ctx context.Context) error {
	schema := 0
	look := func(tx *transaction) (err error) { schema, err = f.recognise(ctx, tx); return err }
	if err := f.read(ctx, look); err != nil {
		return err
	}
	if schema == latestSchema {
		return nil // the usual case needs no write lock
	}
	return f.write(ctx, func(tx *transaction) error { return f.takeSteps(ctx, tx) })
}

func (f *file) takeSteps(ctx context.Context, tx *transaction) error {
	schema, err := f.recognise(ctx, tx)
	if err != nil {
		return err
	}
	for step := schema; step < latestSchema; step++ {
		text, err := migrations.ReadFile(migrationNames[step])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("migration %s: %w", path.Base(migrationNames[step]), err)
		}
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, latestSchema))
	return err
}

func mustGlob(files fs.FS, pattern string) []string {
	names, err := fs.Glob(files, pattern) // sorted
	if err != nil {
		panic(err)
	}
	return names
}
