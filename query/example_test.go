package query_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// The page that a customer sees after paying must show the payment. The receipt of the
// append carries a token; an answer after the token includes it, or is an error.
func ExampleAfter() {
	type Paid struct{ Cents int64 }
	type Account struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
	type GetAccount struct{ ID string }

	events, _ := codec.NewSet(codec.Event[Paid]("account.paid"))
	accounts := projection.NewView("accounts", projection.ViewOptions{Version: 1},
		projection.When(func(a *Account, e Paid, _ eventstore.Recorded) { a.Cents += e.Cents }))
	store, sink := memory.NewStore(), memory.NewSink()
	runner := projection.Runner{Log: store, Events: events, Tasks: []projection.Task{projection.Into(sink, accounts)}}

	queries := query.NewBus()
	reader := projection.NewReader(sink, accounts)
	query.Handle(queries, "get_account", func(ctx context.Context, q GetAccount) (Account, error) {
		return reader.Get(ctx, q.ID)
	}, query.Reads("accounts"))

	ctx := context.Background()
	payment, _ := events.Encode(Paid{Cents: 500})
	receipt, _ := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "account-ada", Events: []eventstore.EventData{payment}},
	}})

	_, err := query.Ask[Account](ctx, queries, GetAccount{"ada"}, query.After(receipt.Token), query.Wait(time.Millisecond))
	fmt.Println("nothing projects yet:", errors.Is(err, context.DeadlineExceeded))

	running, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- runner.Run(running) }()
	account, err := query.Ask[Account](ctx, queries, GetAccount{"ada"}, query.After(receipt.Token))
	fmt.Printf("%+v %v\n", account, err)
	stop()
	fmt.Println(<-ended)
	// Output:
	// nothing projects yet: true
	// {ID:ada Cents:500} <nil>
	// <nil>
}
