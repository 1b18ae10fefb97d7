package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Place is where a store is: in a SQLite file, or in a schema of a Postgres database that may have
// standbys to read from.
type Place struct {
	File, Postgres, Schema string
	Replicas               []string
}

// Store is where a service keeps its events and its read model, and whom its readers ask.
type Store struct {
	eventstore.Store

	Sink projection.Sink
	Read projection.Readable // the sink, or its replicas
}

// With opens the store for as long as f runs.
func (p Place) With(ctx context.Context, f func(s Store) error) (err error) {
	if p.Postgres != "" {
		return p.withPostgres(ctx, f)
	}
	store, err := sqlite.Open(ctx, p.File, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	return f(Store{store, store.Sink(), store.Sink()})
}

func (p Place) withPostgres(ctx context.Context, f func(s Store) error) (err error) {
	pool, err := pgxpool.New(ctx, p.Postgres)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{Schema: p.Schema}); err != nil {
		return err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{Schema: p.Schema})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	return p.withReplicas(ctx, store.Sink(), func(read projection.Readable) error {
		return f(Store{store, store.Sink(), read})
	})
}

func (p Place) withReplicas(ctx context.Context, sink *postgres.Sink, f func(read projection.Readable) error) (err error) {
	if len(p.Replicas) == 0 {
		return f(sink)
	}
	standbys := make([]postgres.Standby, len(p.Replicas))
	for n, url := range p.Replicas {
		pool, err := pgxpool.New(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		standbys[n].Pool = pool
	}
	replicas := postgres.OpenReplicas(ctx, sink, standbys, projection.ReplicasOptions{})
	defer func() {
		status := replicas.Status()
		for _, r := range append(status.Replicas, status.Primary) {
			fmt.Printf("%s: %s was asked %d times\n", p.Schema, r.Name, r.Looks)
		}
		err = errors.Join(err, replicas.Close(context.WithoutCancel(ctx)))
	}()
	return f(replicas)
}
