package stores

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
)

// streamStore is a store on Kinesis with the index that it reads from.
type streamStore struct {
	*kinesisstore.Store
	index database
}

// Close closes the index too.
func (s *streamStore) Close(ctx context.Context) error {
	return errors.Join(s.Store.Close(ctx), s.index.close(ctx))
}

func openKinesis(ctx context.Context, at string) (Store, error) {
	k, err := ParseKinesis(at)
	if err != nil {
		return nil, err
	}
	client, err := k.Client(ctx)
	if err != nil {
		return nil, err
	}
	if k.Index != "" {
		if _, err := client.Options().Credentials.Retrieve(ctx); err != nil {
			return nil, fmt.Errorf("there are no credentials for AWS (set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY): %w", err)
		}
	}
	return k.open(ctx, client)
}

// open finds the index of the stream, and runs no indexer: one that comes and goes with a command line would be one
// that nobody watches.
func (k Kinesis) open(ctx context.Context, client kinesisstore.API) (Store, error) {
	if k.Index == "" {
		return nil, cli.Usagef("say where the index of stream %s is: kinesis://%s?index=sqlite:FILE, or index=postgres%%3A%%2F%%2F… (percent-encoded)", k.Stream, k.Stream)
	}
	stream, err := kinesisstore.Describe(ctx, client, k.Stream)
	if err != nil {
		return nil, err
	}
	in, err := openDatabase(ctx, k.Index)
	if err != nil {
		return nil, err
	}
	index, err := kinesisstore.FindIndex(ctx, in.Database, stream)
	if err != nil {
		return nil, errors.Join(err, in.close(ctx))
	}
	store, err := kinesisstore.Open(ctx, client, index, kinesisstore.Options{})
	if err != nil {
		return nil, errors.Join(err, in.close(ctx))
	}
	return &streamStore{store, in}, nil
}

// database is where an index is, and how it is closed.
type database struct {
	kinesisstore.Database
	close func(ctx context.Context) error
}

// indexConns are enough for many appends that wait: each looks at the index and lets go.
const indexConns = 4

func openDatabase(ctx context.Context, at string) (database, error) {
	inner, err := Open(ctx, at)
	if err != nil {
		return database{}, err
	}
	switch store := inner.(type) {
	case *sqlite.Store:
		file, _ := SQLiteFile(at)
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?_busy_timeout=5000")
		if err != nil {
			return database{}, errors.Join(err, store.Close(ctx))
		}
		db.SetMaxOpenConns(indexConns)
		db.SetMaxIdleConns(indexConns)
		return database{kinesisstore.SQLite(store, db), func(ctx context.Context) error { return errors.Join(db.Close(), store.Close(ctx)) }}, nil
	case *postgres.Store:
		config, schema, err := Postgres(at)
		if err != nil {
			return database{}, errors.Join(err, store.Close(ctx))
		}
		config.MaxConns = indexConns
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return database{}, errors.Join(err, store.Close(ctx))
		}
		db := stdlib.OpenDBFromPool(pool)
		return database{kinesisstore.Postgres(store, db, schema), func(ctx context.Context) error {
			defer pool.Close()
			return errors.Join(db.Close(), store.Close(ctx))
		}}, nil
	}
	return database{}, errors.Join(cli.Usagef("an index is kept in SQLite or Postgres"), inner.Close(ctx))
}
