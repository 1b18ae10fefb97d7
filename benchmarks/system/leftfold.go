package system

import (
	"context"

	"github.com/leftfold/leftfold/adapters/postgres"
)

// Leftfold is adapters/postgres as it comes, through the port eventstore.Store. Of its
// connections one appends, one listens and the rest read.
var Leftfold = System{
	Name:  "leftfold",
	Table: "leftfold.events",
	About: "adapters/postgres: Append / ReadStream / ReadLog; live reader: WaitAppended, then ReadLog after the last position",
	Create: func(ctx context.Context, url string) error {
		pool, err := openPool(ctx, url, 1)
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = postgres.Migrate(ctx, pool, postgres.MigrateOptions{})
		return err
	},
	Open: func(ctx context.Context, url string, connections int) (Store, error) {
		pool, err := openPool(ctx, url, 1)
		if err != nil {
			return nil, err
		}
		defer pool.Close() // the store opens its own, by this one's configuration
		store, err := postgres.Open(ctx, pool, postgres.Options{Readers: connections - 2})
		if err != nil {
			return nil, err
		}
		return EventStore{store, func() error { return store.Close(context.Background()) }}, nil
	},
}
