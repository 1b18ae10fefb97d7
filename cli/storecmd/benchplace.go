package storecmd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// place is where it is measured.
type place struct {
	store eventstore.Store
	sink  projection.Sink // nil: the store keeps no read models
	about about
	leave func(ctx context.Context) error // closes it, and takes away what was made
}

// about is what a reader must know of the store to judge the figures.
type about struct {
	Kind     string            `json:"kind"`
	Version  string            `json:"version,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
	Where    string            `json:"where"`
}

// open makes a place of its own beside the store, or takes the store itself where that cannot be.
func (b *bench) open(cmd *cobra.Command) (*place, error) {
	name := "leftfold_bench_" + strings.ReplaceAll(eventstore.NewEventID().String(), "-", "")
	file, isFile := stores.SQLiteFile(b.store)
	switch {
	case isFile:
		return besideFile(cmd.Context(), cmd.ErrOrStderr(), file+"."+name)
	case stores.IsPostgres(b.store):
		return besideSchema(cmd.Context(), cmd.ErrOrStderr(), b.store, name)
	}
	return b.itself(cmd)
}

func besideFile(ctx context.Context, stderr io.Writer, file string) (*place, error) {
	store, err := sqlite.Open(ctx, file, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "bench: in file %s, which is removed at the end\n", file)
	p := &place{store: store, sink: store.Sink(), about: about{"SQLite", "", map[string]string{}, "a file of its own in the same directory"}}
	p.leave = func(ctx context.Context) error {
		err := store.Close(ctx)
		for _, of := range []string{"", "-wal", "-shm"} {
			if gone := os.Remove(file + of); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
		return err
	}
	if err := p.askSQLite(ctx, file); err != nil {
		return nil, errors.Join(err, p.leave(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *place) askSQLite(ctx context.Context, file string) (err error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var mode string
	err = db.QueryRowContext(ctx, "SELECT sqlite_version(), journal_mode FROM pragma_journal_mode").Scan(&p.about.Version, &mode)
	p.about.Settings["journal_mode"] = mode
	return err
}

func besideSchema(ctx context.Context, stderr io.Writer, at, schema string) (*place, error) {
	config, _, err := stores.Postgres(at)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{Schema: schema}); err != nil {
		pool.Close()
		return nil, err
	}
	fmt.Fprintf(stderr, "bench: in schema %s, which is dropped at the end\n", schema)
	p := &place{about: about{"PostgreSQL", "", map[string]string{}, "a schema of its own in the same database"}}
	closeStore := func(context.Context) error { return nil }
	p.leave = func(ctx context.Context) error {
		defer pool.Close()
		err := closeStore(ctx)
		_, dropped := pool.Exec(ctx, `DROP SCHEMA "`+schema+`" CASCADE`)
		return errors.Join(err, dropped)
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{Schema: schema, AcceptLoss: true}) // what it loses is shown
	if err == nil {
		closeStore = store.Close
		p.store, p.sink = store, store.Sink()
		err = p.askPostgres(ctx, pool)
	}
	if err != nil {
		return nil, errors.Join(err, p.leave(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *place) askPostgres(ctx context.Context, pool *pgxpool.Pool) error {
	for _, name := range []string{"server_version", "fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := pool.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return err
		}
		p.about.Settings[name] = value
	}
	p.about.Version = p.about.Settings["server_version"]
	delete(p.about.Settings, "server_version")
	return nil
}

// itself measures in the store, whose log keeps what is appended.
func (b *bench) itself(cmd *cobra.Command) (*place, error) {
	ctx := cmd.Context()
	if stores.IsKinesis(b.store) {
		if _, err := stores.ParseKinesis(b.store); err != nil {
			return nil, err
		}
		if err := cli.Confirm(cmd, cli.Confirmation{
			Yes:      b.yes,
			Question: "The events of the benchmark, of category " + benchCategory + ", will stay in the log of this store for ever. This cannot be undone.\nAppend them?",
			Undone:   "nothing was appended",
			Unless:   "say --yes if the events of the benchmark may stay in the log of this store for ever",
		}); err != nil {
			return nil, err
		}
	}
	store, err := stores.Open(ctx, b.store)
	if err != nil {
		return nil, err
	}
	return &place{store: store, about: about{"Kinesis", "", nil, "the stream itself, by way of its index"}, leave: store.Close}, nil
}
