package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
)

// database is the log and the read model.
type database struct {
	*sql.DB
	store  aggregate.Store
	close  func(context.Context) error
	before []string // the schema
}

// open opens what DATABASE says, a file or a Postgres database by its URL. Without it, Postgres by the variables
// that begin with PG, if there are any, with user and password from the secret.
func open(ctx context.Context) (db *database, err error) {
	at := os.Getenv("DATABASE")
	switch {
	case strings.Contains(at, "://"), at == "" && os.Getenv("PGHOST") != "":
		db, err = openPostgres(ctx, at)
	default:
		db, err = openSQLite(ctx, cmp.Or(at, "lambda.db"))
	}
	if err != nil {
		return nil, err
	}
	if err := db.create(ctx); err != nil {
		return nil, errors.Join(err, db.close(ctx))
	}
	return db, nil
}

// create creates the tables, one sandbox at a time: Postgres fails if two create a table at once.
func (db *database) create(ctx context.Context) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range append(db.before, createSold) {
		if _, err := tx.ExecContext(ctx, statement); err != nil { //nolint:gosec // the statements are constants of this package
			return err
		}
	}
	return tx.Commit()
}

func openSQLite(ctx context.Context, path string) (*database, error) {
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", path+"?_txlock=immediate&_busy_timeout=5000")
	if err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	return &database{db, store, func(ctx context.Context) error { return errors.Join(db.Close(), store.Close(ctx)) }, nil}, nil
}

// openPostgres opens a pool of 2: there may be many sandboxes, and each has one invocation at a time.
func openPostgres(ctx context.Context, url string) (*database, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 2
	if secret := os.Getenv("DATABASE_SECRET_ARN"); secret != "" {
		if config.ConnConfig.User, config.ConnConfig.Password, err = login(ctx, secret); err != nil {
			return nil, err
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{}); err != nil {
		pool.Close()
		return nil, err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	if err != nil {
		pool.Close()
		return nil, err
	}
	db := stdlib.OpenDBFromPool(pool)
	return &database{db, store, func(ctx context.Context) error {
		err := errors.Join(db.Close(), store.Close(ctx))
		pool.Close()
		return err
	}, []string{`SELECT pg_advisory_xact_lock(6208)`}}, nil
}
