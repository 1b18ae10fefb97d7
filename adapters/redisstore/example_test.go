package redisstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// The log is in any store, and the read model is in Redis. An answer after the receipt's
// token includes the payment.
func Example() {
	type Paid struct{ Cents int64 }
	type Account struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
	type GetAccount struct{ ID string }
	events, _ := codec.NewSet(codec.Event[Paid]("account.paid"))
	accounts := projection.NewView("accounts", projection.ViewOptions{Version: 1, Indexes: []string{"cents"}},
		projection.When(func(a *Account, e Paid, _ eventstore.Recorded) { a.Cents += e.Cents }))

	ctx, stop := context.WithCancel(context.Background())
	client := redis.NewClient(&redis.Options{Addr: address()})
	defer client.Close()
	sink, err := redisstore.Open(ctx, client, redisstore.Options{Prefix: "example", Logger: silent})
	if err != nil {
		panic(err)
	}
	store := memory.NewStore()
	runner := projection.Runner{Log: store, Events: events, Tasks: []projection.Task{projection.Into(sink, accounts)}}
	ended := make(chan error)
	go func() { ended <- runner.Run(ctx) }()

	reader := projection.NewReader(sink, accounts)
	queries := query.NewBus()
	query.Handle(queries, "get_account", func(ctx context.Context, q GetAccount) (Account, error) {
		return reader.Get(ctx, q.ID)
	}, query.Reads("accounts"))

	var last eventstore.Receipt
	for stream, cents := range map[eventstore.StreamID]int64{"account-ada": 500, "account-bob": 9_007_199_254_740_993} {
		payment, _ := events.Encode(Paid{Cents: cents})
		last, err = store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{payment}}}})
		if err != nil {
			panic(err)
		}
	}
	account, err := query.Ask[Account](ctx, queries, GetAccount{"ada"}, query.After(last.Token))
	fmt.Printf("%+v %v\n", account, err)

	richest, err := reader.List(ctx, projection.ListQuery{By: "cents", Descending: true, Limit: 1})
	fmt.Printf("%+v %v\n", richest.Rows, err)
	stop()
	fmt.Println(<-ended)
	// Output:
	// {ID:ada Cents:500} <nil>
	// [{ID:bob Cents:9007199254740993}] <nil>
	// <nil>
}

// Readers ask the replicas of a server, and the server for what they lack. Here a replica has
// lost its master: an answer after the token includes the payment all the same.
func ExampleOpenReplicas() {
	type Paid struct{ Cents int64 }
	type Account struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
	events, _ := codec.NewSet(codec.Event[Paid]("account.paid"))
	accounts := projection.NewView("accounts", projection.ViewOptions{Version: 1},
		projection.When(func(a *Account, e Paid, _ eventstore.Recorded) { a.Cents += e.Cents }))
	ctx := context.Background()
	server, replica, end := serverWithReplica()
	defer end()

	client := redis.NewClient(&redis.Options{Addr: server, ContextTimeoutEnabled: true})
	defer client.Close()
	copied := redis.NewClient(&redis.Options{Addr: replica, ContextTimeoutEnabled: true})
	defer copied.Close()
	sink, err := redisstore.Open(ctx, client, redisstore.Options{Logger: silent})
	if err != nil {
		panic(err)
	}
	replicas, err := redisstore.OpenReplicas(ctx, sink, []*redis.Client{copied}, projection.ReplicasOptions{})
	if err != nil {
		panic(err)
	}
	defer replicas.Close()
	reader := projection.NewReader(replicas, accounts)
	queries := query.NewBus()
	query.Handle(queries, "get_account", func(ctx context.Context, id string) (Account, error) {
		return reader.Get(ctx, id)
	}, query.Reads("accounts"))

	copied.Do(ctx, "REPLICAOF", "127.0.0.1", "1") // nobody is there
	store := memory.NewStore()
	payment, _ := events.Encode(Paid{Cents: 500})
	receipt, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-ada", Events: []eventstore.EventData{payment}}}})
	if err != nil {
		panic(err)
	}
	runner := projection.Runner{Log: store, Events: events, Tasks: []projection.Task{projection.Into(sink, accounts)}}
	if err := runner.CatchUp(ctx); err != nil {
		panic(err)
	}
	account, err := query.Ask[Account](ctx, queries, "ada", query.After(receipt.Token))
	fmt.Printf("%+v %v\n", account, err)
	// Output:
	// {ID:ada Cents:500} <nil>
}

// serverWithReplica starts your Redis and its replica.
func serverWithReplica() (server, replica string, end func()) {
	ctx := context.Background()
	master, err := testservers.StartRedis(ctx, testservers.RedisOptions{})
	if err != nil {
		panic(err)
	}
	copied, err := master.Replica(ctx, testservers.RedisOptions{})
	if err != nil {
		panic(err)
	}
	return master.Addr(), copied.Addr(), func() { _ = errors.Join(copied.Stop(ctx), master.Stop(ctx)) }
}

// address is where your Redis is.
func address() string {
	server, err := testservers.SharedRedis()
	if err != nil {
		panic(err)
	}
	return server.Addr()
}
