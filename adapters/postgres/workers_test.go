package postgres_test

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// workOnProjections is a child that keeps read models.
func workOnProjections(ctx context.Context, url, _ string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	for errors.Is(err, postgres.ErrUnavailable) { // its connections are cut like those of the others
		store, err = postgres.Open(ctx, pool, postgres.Options{})
	}
	if err != nil {
		return err
	}
	return projectiontest.WorkUntilKilled(ctx, projectiontest.Parts{Store: store, Sink: store.Sink()})
}
