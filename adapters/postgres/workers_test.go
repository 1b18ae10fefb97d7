package postgres_test

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// workOn is a child that keeps read models, with a bug in its sink perhaps.
func workOn(plant func(*postgres.Sink) projection.Sink) func(ctx context.Context, url, name string) error {
	return func(ctx context.Context, url, _ string) error {
		pool, err := pgxpool.New(ctx, url)
		if err != nil {
			return err
		}
		store, err := postgres.Open(ctx, pool, postgres.Options{})
		if err != nil {
			return err
		}
		return projectiontest.WorkUntilKilled(ctx, projectiontest.Parts{Store: store, Sink: plant(store.Sink())})
	}
}

// halvesSink writes rows and checkpoint apart.
type halvesSink struct{ *postgres.Sink }

func (s halvesSink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := s.Sink.Commit(ctx, model, projection.Move{From: move.From, To: move.From}, changes); err != nil {
		return err
	}
	return s.Sink.Commit(ctx, model, move, nil)
}
