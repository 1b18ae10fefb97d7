package system

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx" of database/sql
)

func openPool(ctx context.Context, url string, size int) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(size)
	return pgxpool.NewWithConfig(ctx, config)
}

// openDB keeps as many idle connections as it may open: database/sql would close all but
// two after each use.
func openDB(url string, size int) (*sql.DB, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// execScript runs statements that make a schema.
func execScript(ctx context.Context, url, script string) error {
	pool, err := openPool(ctx, url, 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, script); err != nil {
		return fmt.Errorf("create the schema: %w", err)
	}
	return nil
}

// createByOpening is the Create of libraries that make their schema when they are opened.
func createByOpening(open func(context.Context, string, int) (Store, error)) func(context.Context, string) error {
	return func(ctx context.Context, url string) error {
		store, err := open(ctx, url, 1)
		if err != nil {
			return err
		}
		store.Close()
		return nil
	}
}

// poll calls read until ctx ends, and waits for PollInterval after each call that found nothing.
func poll(ctx context.Context, read func() (found int, err error)) error {
	for {
		found, err := read()
		if err != nil {
			return endOf(ctx, err)
		}
		if found > 0 && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(PollInterval):
		}
	}
}

// endOf returns the error of a subscription, nil if it is only that its context has ended.
func endOf(ctx context.Context, err error) error {
	over := ctx.Err() != nil || errors.Is(err, context.Canceled)
	if !over {
		return err
	}
	return nil
}
