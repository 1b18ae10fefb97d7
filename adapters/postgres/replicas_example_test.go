package postgres_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Readers are given a standby where there is one that has what they need, and never less than
// their user has written: a reader of the view, and SQL.
func ExampleOpenReplicas() {
	ctx := context.Background()
	toPrimary, toStandby, stop := exampleServers(ctx)
	defer stop()
	store, err := postgres.Open(ctx, toPrimary, postgres.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	type Paid struct{ Pence int64 }
	type Account struct {
		ID    string `leftfold:"key"`
		Pence int64
	}
	events, err := codec.NewSet(codec.Event[Paid]("account.paid"))
	if err != nil {
		panic(err)
	}
	accounts := projection.NewView("accounts", projection.ViewOptions{Version: 1},
		projection.When(func(a *Account, e Paid, _ eventstore.Recorded) { a.Pence += e.Pence }))
	runner := projection.Runner{Log: store, Events: events, Tasks: []projection.Task{projection.Into(store.Sink(), accounts)}}

	replicas := postgres.OpenReplicas(ctx, store.Sink(), []postgres.Standby{{Name: "standby", Pool: toStandby}}, projection.ReplicasOptions{})
	defer replicas.Close(ctx)
	reader := projection.NewReader(replicas, accounts)
	bus := query.NewBus()
	query.Handle(bus, "balance", func(ctx context.Context, id string) (int64, error) {
		account, err := reader.Get(ctx, id)
		return account.Pence, err
	}, query.Reads("accounts"))
	type total struct{}
	query.Handle(bus, "total", func(ctx context.Context, _ total) (pence int64, err error) {
		err = replicas.Read(ctx, accounts.Generation(), func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT sum(pence)::bigint FROM leftfold.view_accounts_1").Scan(&pence)
		})
		return pence, err
	}, query.Reads("accounts"))

	for _, id := range []string{"account-1", "account-2"} {
		paid, err := events.Encode(Paid{Pence: 250})
		if err != nil {
			panic(err)
		}
		receipt, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: eventstore.StreamID(id), Events: []eventstore.EventData{paid}}}})
		if err != nil {
			panic(err)
		}
		if err := runner.CatchUp(ctx); err != nil {
			panic(err)
		}
		fmt.Println(query.Ask[int64](ctx, bus, id[len("account-"):], query.After(receipt.Token)))
		fmt.Println(query.Ask[int64](ctx, bus, total{}, query.After(receipt.Token)))
	}
	fmt.Println(replicas.Status().Replicas[0].Name, replicas.Status().Replicas[0].Err)
	// Output:
	// 250 <nil>
	// 250 <nil>
	// 250 <nil>
	// 500 <nil>
	// standby <nil>
}

// exampleServers starts a primary with a store, and a standby of it.
func exampleServers(ctx context.Context) (toPrimary, toStandby *pgxpool.Pool, stop func()) {
	primary, err := testservers.StartPostgres(ctx, testservers.PostgresOptions{})
	if err != nil {
		panic(err)
	}
	standby, err := primary.Replica(ctx, testservers.ReplicaOptions{})
	if err != nil {
		panic(err)
	}
	if toPrimary, err = pgxpool.New(ctx, primary.URL("postgres")); err != nil {
		panic(err)
	}
	if toStandby, err = pgxpool.New(ctx, standby.URL("postgres")); err != nil {
		panic(err)
	}
	if _, err := postgres.Migrate(ctx, toPrimary, postgres.MigrateOptions{}); err != nil {
		panic(err)
	}
	if err := standby.CatchUp(ctx); err != nil {
		panic(err)
	}
	return toPrimary, toStandby, func() {
		toPrimary.Close()
		toStandby.Close()
		for _, server := range []interface{ Stop(context.Context) error }{standby, primary} {
			if err := server.Stop(ctx); err != nil {
				panic(err)
			}
		}
	}
}
