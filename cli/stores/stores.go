// Package stores opens event stores by URL, as the flag --store names them:
//
//	sqlite:FILE                      a file of adapters/sqlite
//	postgres://…?schema=NAME         a store of adapters/postgres in a schema, leftfold if none is named.
//	                                 The rest of the URL is as libpq has it: host, user, sslmode, PGPASSWORD …
//	kinesis://STREAM?index=URL       a store of adapters/kinesisstore on a stream. Its index is in one of the
//	                                 other two, whose URL is percent-encoded. region=NAME and endpoint=URL are
//	                                 found as [AWS] says if they are left out.
//
// It opens what is there and never makes a store: what a typo names would be empty.
package stores

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

// Store is an open store. What optional powers it has is found by assertion.
type Store interface {
	eventstore.Store

	// Close waits for appends under way and closes the store's connections.
	Close(ctx context.Context) error
}

// Flag gives a verb the flag --store.
func Flag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "store", "", "URL of the store: sqlite:FILE; postgres://…, with ?schema=NAME if it is not in schema leftfold; or kinesis://STREAM?index=URL")
}

// Open opens the store at a URL. One that names no store is a [cli.UsageError]; no error has the
// password in it.
func Open(ctx context.Context, at string) (Store, error) {
	if at == "" {
		return nil, cli.Usagef("say which store: --store sqlite:FILE, postgres://… or kinesis://STREAM?index=URL")
	}
	if file, isFile := SQLiteFile(at); isFile {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s (--store)", file)
		}
		return sqlite.Open(ctx, file, sqlite.Options{})
	}
	if IsPostgres(at) {
		return openPostgres(ctx, at)
	}
	if IsKinesis(at) {
		return openKinesis(ctx, at)
	}
	return nil, Unknown("store", at)
}

// Check returns the [cli.UsageError] of a URL that [Open] would not open, without opening anything: for verbs that
// have work to do before.
func Check(at string) error {
	_, isFile := SQLiteFile(at)
	switch {
	case IsPostgres(at):
		_, _, err := Postgres(at)
		return err
	case IsKinesis(at):
		_, err := ParseKinesis(at)
		return err
	case at == "":
		_, err := Open(context.Background(), at)
		return err
	case !isFile:
		return Unknown("store", at)
	}
	return nil
}

// OpenOrCreate is [Open], and makes a file of SQLite that is not there.
func OpenOrCreate(ctx context.Context, at string) (Store, error) {
	if file, isFile := SQLiteFile(at); isFile {
		return sqlite.Open(ctx, file, sqlite.Options{})
	}
	return Open(ctx, at)
}

func openPostgres(ctx context.Context, at string) (Store, error) {
	config, schema, err := Postgres(at)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close() // the store has its own connections
	return postgres.Open(ctx, pool, postgres.Options{Schema: schema, Readers: 2})
}

// SQLiteFile returns the file of a URL sqlite:FILE.
func SQLiteFile(at string) (file string, ok bool) { return strings.CutPrefix(at, "sqlite:") }

// IsPostgres reports whether a URL is that of a Postgres database.
func IsPostgres(at string) bool {
	return strings.HasPrefix(at, "postgres://") || strings.HasPrefix(at, "postgresql://")
}

// Postgres reads the URL of a Postgres database. The schema is that of ?schema=NAME, "" for none.
func Postgres(at string) (config *pgxpool.Config, schema string, err error) {
	malformed := cli.Usagef("the URL of the database cannot be parsed") // it may hold a password
	parsed, err := url.Parse(at)
	if err != nil {
		return nil, "", malformed
	}
	parameters := parsed.Query()
	schema = parameters.Get("schema")
	parameters.Del("schema") // it is ours, not the server's
	parsed.RawQuery = parameters.Encode()
	if config, err = pgxpool.ParseConfig(parsed.String()); err != nil {
		return nil, "", malformed
	}
	return config, schema, nil
}

// Unknown is the [cli.UsageError] of a URL that names nothing that is known. what is the flag's name.
func Unknown(what, at string) error {
	want := map[string]string{
		"store":       "sqlite:FILE, postgres://… or kinesis://STREAM?index=URL",
		"read-models": "sqlite:FILE, postgres://… or redis://…",
	}[what]
	return cli.Usagef("unknown %s %q: want %s (--%s)", what, WithoutPassword(at), want, what)
}

// WithoutPassword returns a URL for messages.
func WithoutPassword(at string) string {
	if parsed, err := url.Parse(at); err == nil {
		parsed.RawQuery = "" // libpq takes a password there, and an index has a URL there
		return parsed.Redacted()
	}
	return "(not a URL)"
}
