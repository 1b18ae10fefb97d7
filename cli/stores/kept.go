package stores

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/projection"
)

// Kept is where a store is and where its read models are.
type Kept struct{ store, readModels string }

// Flags gives a verb the flags --store and --read-models.
func (k *Kept) Flags(cmd *cobra.Command) {
	Flag(cmd, &k.store)
	cmd.Flags().StringVar(&k.readModels, "read-models", "", "URL of the read models, if they are not where the store is: sqlite:FILE, postgres://… or redis://…, with ?prefix=NAME if their keys do not begin with leftfold:")
}

// Open opens both.
func (k *Kept) Open(ctx context.Context) (cli.Kept, error) {
	store, err := Open(ctx, k.store)
	if err != nil {
		return cli.Kept{}, err
	}
	sink, closeSink, err := k.sink(ctx, store)
	if err != nil {
		return cli.Kept{}, errors.Join(err, store.Close(ctx))
	}
	return cli.Kept{Store: store, Sink: sink, Close: func(ctx context.Context) error {
		return errors.Join(closeSink(ctx), store.Close(ctx))
	}}, nil
}

func (k *Kept) sink(ctx context.Context, store Store) (projection.Sink, func(context.Context) error, error) {
	nothing := func(context.Context) error { return nil }
	if k.readModels == "" {
		switch s := store.(type) {
		case *sqlite.Store:
			return s.Sink(), nothing, nil
		case *postgres.Store:
			return s.Sink(), nothing, nil
		}
		return nil, nil, cli.Usagef("a store of this kind keeps no read models: say where they are, by --read-models")
	}
	if file, isFile := SQLiteFile(k.readModels); isFile {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("there is no file %s (--read-models)", file)
		}
		sink, err := sqlite.OpenSink(ctx, file)
		return sink, func(context.Context) error { return sink.Close() }, err
	}
	if IsRedis(k.readModels) {
		return redisSink(ctx, k.readModels)
	}
	if !IsPostgres(k.readModels) {
		return nil, nil, Unknown("read-models", k.readModels)
	}
	config, schema, err := Postgres(k.readModels)
	if err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	defer pool.Close() // the sink has its own connections
	sink, err := postgres.OpenSink(ctx, pool, postgres.SinkOptions{Schema: schema})
	if err != nil {
		return nil, nil, err
	}
	return sink, sink.Close, nil
}

func redisSink(ctx context.Context, at string) (projection.Sink, func(context.Context) error, error) {
	client, prefix, err := Redis(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	// What it would warn of is for doctor.
	sink, err := redisstore.Open(ctx, client, redisstore.Options{Prefix: prefix, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return sink, func(context.Context) error { return client.Close() }, nil
}
