package kinesisstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

// Database is where an index is: a store, and the database that it is in. Nobody but the index may
// append to that store.
type Database struct {
	store    eventstore.Store
	db       *sql.DB
	dialect  string
	schema   string
	transact func(ctx context.Context, f inTransaction) error
}

type inTransaction = func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error

// Postgres is a store of adapters/postgres in its schema ("": the default one), and its database, opened by way of
// pgx's package stdlib. The role must be able to create tables in the schema.
func Postgres(store interface {
	eventstore.Store
	TransactSQL(ctx context.Context, db *sql.DB, f func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error) error
}, db *sql.DB, schema string) Database {
	if schema == "" {
		schema = "leftfold"
	}
	return Database{store, db, "postgres", schema, func(ctx context.Context, f inTransaction) error {
		return store.TransactSQL(ctx, db, f)
	}}
}

// SQLite is a store of adapters/sqlite, and its file, opened as sql.Open("sqlite", path).
func SQLite(store interface {
	eventstore.Store
	Transact(ctx context.Context, db interface {
		BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error)
	}, f func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error) error
}, db *sql.DB) Database {
	return Database{store, db, "sqlite", "", func(ctx context.Context, f inTransaction) error {
		return store.Transact(ctx, db, f)
	}}
}

var (
	//go:embed sql/*.sql
	statementFiles embed.FS
	//go:embed migrations/*/*.sql
	migrationFiles embed.FS
)

// statements are the texts in sql/, for one database.
type statements struct {
	findIndex, createIndex            string
	checkpoint, beginShard, moveShard string
	shards                            string
	streamState                       string
	commitAt, findCommit              string
	commandOn, findCommand            string
	insertCommit                      string
}

func (d Database) statements() (s statements, err error) {
	for name, text := range map[string]*string{
		"find_index": &s.findIndex, "create_index": &s.createIndex,
		"checkpoint": &s.checkpoint, "begin_shard": &s.beginShard, "move_shard": &s.moveShard, "shards": &s.shards,
		"stream_state": &s.streamState, "commit_at": &s.commitAt, "find_commit": &s.findCommit,
		"command_on": &s.commandOn, "find_command": &s.findCommand, "insert_commit": &s.insertCommit,
	} {
		if *text, err = d.text(statementFiles, "sql/"+name+".sql"); err != nil {
			return s, err
		}
	}
	return s, nil
}

// text reads a file for the database: SQLite has no schemas, and its parameters are ?1.
func (d Database) text(files fs.FS, name string) (string, error) {
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return "", err
	}
	if d.dialect == "sqlite" {
		return strings.NewReplacer("leftfold.", "", "$", "?").Replace(string(raw)), nil
	}
	return strings.ReplaceAll(string(raw), "leftfold.", quoted(d.schema)+"."), nil
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// migrate makes the tables of the index, where they are not there yet.
func (d Database) migrate(ctx context.Context) error {
	directory := "migrations/" + d.dialect
	files, err := fs.ReadDir(migrationFiles, directory)
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := d.text(migrationFiles, directory+"/"+file.Name())
		if err != nil {
			return err
		}
		if err := d.transact(ctx, func(ctx context.Context, tx *sql.Tx, _ eventstore.Store) error {
			for statement := range strings.SplitSeq(text, ";\n") {
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("make the tables of the index (%s): %w", file.Name(), err)
		}
	}
	return nil
}
