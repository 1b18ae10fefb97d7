package redisstore_test

import (
	"context"
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

// address is where your Redis is.
func address() string {
	server, err := testservers.SharedRedis()
	if err != nil {
		panic(err)
	}
	return server.Addr()
}
