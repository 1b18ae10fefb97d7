package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The migrations, numbered from 1 and never edited after a release. The end of each file
// records it, with the oldest step that a program must know to run on the result.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is a step of the schema.
type Migration struct {
	// Number orders the steps, from 1 without gaps.
	Number int
	// Name says what the step brings.
	Name string
	// SQL is the step, for one schema. It belongs in one transaction, and records itself.
	SQL string
}

// MigrateOptions are the choices of [Migrate]. The zero value works.
type MigrateOptions struct {
	// Schema is where the store lives. Default: [DefaultSchema].
	Schema string
	// DryRun returns what would be done, and does nothing. Default: false.
	DryRun bool
}

// Migrations returns every step that this release knows, oldest first, for those who run
// SQL with a tool of their own. What such a tool has run, [Migrate] does not run again.
// A schema name that cannot be used is [eventstore.ErrInvalid].
func Migrations(schemaName string) ([]Migration, error) {
	s, err := newSchema(schemaName)
	if err != nil {
		return nil, err
	}
	return readMigrations(migrationFiles, s)
}

// Migrate brings the schema to what this release needs, and returns the steps that were
// missing. They run in one transaction: all or none. Programs that migrate at the same time
// wait for each other. The role needs the right to create the schema; it owns what it makes.
//
// Errors: [ErrNewerSchema] of a schema that has steps unknown to this release, and is not
// touched; [ErrUnsupportedServer], [ErrDenied], [ErrReadOnly], [ErrDiskFull], [ErrUnavailable].
func Migrate(ctx context.Context, pool *pgxpool.Pool, o MigrateOptions) (done []Migration, err error) {
	s, err := newSchema(o.Schema)
	if err != nil {
		return nil, err
	}
	known, err := readMigrations(migrationFiles, s)
	if err != nil {
		return nil, err
	}
	return migrate(ctx, pool, s, known, o.DryRun)
}

// The lock of all migrations of a database. Its key is our name in hexadecimal; the second
// half keeps it apart from the locks of stores.
const lockMigrationsSQL = "SELECT pg_advisory_xact_lock(1818585702, -1)"

func migrate(ctx context.Context, pool *pgxpool.Pool, s schema, known []Migration, dry bool) (missing []Migration, err error) {
	access := pgx.ReadWrite
	if dry {
		access = pgx.ReadOnly
	}
	err = inTransaction(ctx, pool, access, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockMigrationsSQL); err != nil {
			return explain(err)
		}
		if err := checkEncoding(ctx, tx); err != nil {
			return err
		}
		done, err := readVersion(ctx, tx, s)
		if err != nil && !errors.Is(err, ErrNoStore) {
			return err
		}
		if done.number > len(known) {
			return done.tooNew(len(known))
		}
		missing = known[done.number:]
		if dry {
			return nil
		}
		for _, m := range missing {
			if err := m.run(ctx, tx); err != nil {
				return fmt.Errorf("migration %d, %s: %w", m.Number, m.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("migrate schema %s: %w", s, err)
	}
	return missing, nil
}

// checkEncoding refuses databases that cannot hold every name, or would change its bytes.
func checkEncoding(ctx context.Context, tx pgx.Tx) error {
	var server, client string
	err := tx.QueryRow(ctx, "SELECT current_setting('server_encoding'), current_setting('client_encoding')", pgx.QueryExecModeExec).Scan(&server, &client)
	switch {
	case err != nil:
		return explain(err)
	case server != "UTF8":
		return fmt.Errorf("%w: the database is encoded as %s; names and tags are UTF-8, so create one WITH ENCODING 'UTF8' TEMPLATE template0", ErrUnsupportedServer, server)
	case client != "UTF8":
		return fmt.Errorf("%w: client_encoding is %s; set it to UTF8 for the role, or in the pool's RuntimeParams", ErrUnsupportedServer, client)
	}
	return nil
}

// inTransaction runs f in a READ COMMITTED transaction, whatever the default of the role or the
// database is: who waits for a lock must see what its last holder has done.
func inTransaction(ctx context.Context, db interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}, access pgx.TxAccessMode, f func(tx pgx.Tx) error) error {
	var refused error
	err := pgx.BeginTxFunc(ctx, db, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: access}, func(tx pgx.Tx) error {
		refused = f(tx)
		return refused
	})
	if refused != nil {
		return refused
	}
	return explain(err)
}

// run sends the file as it is: several statements need the simple protocol.
func (m Migration) run(ctx context.Context, tx pgx.Tx) error {
	return explain(tx.Conn().PgConn().Exec(ctx, m.SQL).Close())
}

// stepFiles are the names of the files that [readMigrations] reads, one for each step, oldest first.
func stepFiles(files fs.FS) ([]string, error) { return fs.Glob(files, "migrations/*.sql") }

// readMigrations reads the files of a folder, "0001_event_store.sql" and so on.
func readMigrations(files fs.FS, s schema) ([]Migration, error) {
	names, err := stepFiles(files)
	if err != nil {
		return nil, err
	}
	steps := make([]Migration, len(names))
	for n, name := range names {
		number, title, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".sql"), "_")
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps[n] = Migration{Name: strings.ReplaceAll(title, "_", " "), SQL: s.in(string(text))}
		if steps[n].Number, err = strconv.Atoi(number); err != nil || steps[n].Number != n+1 {
			return nil, fmt.Errorf("%s: want number %04d", name, n+1)
		}
	}
	return steps, nil
}

// version is how far a schema has been migrated.
type version struct {
	schema schema
	number int // of the last step
	oldest int // step that a program must know
}

const versionSQL = "SELECT number, oldest FROM leftfold.migrations ORDER BY number DESC LIMIT 1"

// readVersion returns [ErrNoStore] if the schema has none.
func readVersion(ctx context.Context, tx pgx.Tx, s schema) (version, error) {
	v := version{schema: s}
	var exists bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1::text) IS NOT NULL", pgx.QueryExecModeExec, s.in("leftfold.migrations")).Scan(&exists); err != nil {
		return v, explain(err)
	}
	if !exists {
		return v, fmt.Errorf("%w: run postgres.Migrate for schema %s, or name the schema that has it", ErrNoStore, s)
	}
	err := tx.QueryRow(ctx, s.in(versionSQL), pgx.QueryExecModeExec).Scan(&v.number, &v.oldest)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return v, explain(err)
	}
	return v, nil
}

// checkSchema returns nil if this program can run on the schema.
func checkSchema(ctx context.Context, tx pgx.Tx, s schema) error {
	done, err := readVersion(ctx, tx, s)
	if err != nil {
		return err
	}
	known, err := stepFiles(migrationFiles)
	if err != nil {
		return err
	}
	return errors.Join(done.check(len(known)), checkEncoding(ctx, tx))
}

// check returns nil if a program that knows so many steps can run on the schema.
func (v version) check(known int) error {
	switch {
	case v.number < known:
		return fmt.Errorf("%w: schema %s is at step %d, this program needs %d; run postgres.Migrate", ErrOldSchema, v.schema, v.number, known)
	case v.oldest > known:
		return v.tooNew(known)
	}
	return nil
}

func (v version) tooNew(known int) error {
	return fmt.Errorf("%w: schema %s is at step %d, this program knows %d; use a newer release of leftfold", ErrNewerSchema, v.schema, v.number, known)
}
