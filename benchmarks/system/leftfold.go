package system

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

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

// Silent is Leftfold without the notification that each batch sends, to see what that costs.
// Nobody should run it: readers of other processes find events by polling only.
var Silent = System{
	Name:   "leftfold (no notify)",
	Table:  Leftfold.Table,
	Create: createSilent,
	Open:   Leftfold.Open,
}

// createSilent takes the notifications out of the functions that append.
func createSilent(ctx context.Context, url string) error {
	if err := Leftfold.Create(ctx, url); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, name := range []string{"append", "append_one"} {
		var text string
		if err := conn.QueryRow(ctx, "SELECT pg_get_functiondef(('leftfold.' || $1)::regproc)", name).Scan(&text); err != nil {
			return err
		}
		silent := strings.ReplaceAll(text, "nothing := pg_notify(", "nothing := concat(")
		if silent == text {
			return fmt.Errorf("leftfold.%s does not notify any more", name)
		}
		if _, err := conn.Exec(ctx, silent); err != nil {
			return err
		}
	}
	return nil
}
