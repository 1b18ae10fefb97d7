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

type (
	Paid    struct{ Cents int64 }
	Account struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
	GetAccount struct{ ID string }
)

// till takes payments, and shows accounts whenever it gets round to it.
type till struct {
	*memory.Store
	*query.Bus
	events  *codec.Set
	catchUp func()
}

func newTill() *till {
	events, _ := codec.NewSet(codec.Event[Paid]("account.paid"))
	accounts := projection.NewView("accounts", projection.ViewOptions{Version: 1},
		projection.When(func(a *Account, e Paid, _ eventstore.Recorded) { a.Cents += e.Cents }))
	sink, t := memory.NewSink(), &till{Store: memory.NewStore(), Bus: query.NewBus(), events: events}
	reader := projection.NewReader(sink, accounts)
	query.Handle(t.Bus, "get_account", func(ctx context.Context, q GetAccount) (Account, error) {
		return reader.Get(ctx, q.ID)
	}, query.Reads("accounts"))
	runner := projection.Runner{Log: t.Store, Events: events, Tasks: []projection.Task{projection.Into(sink, accounts)}}
	t.catchUp = func() {
		if err := runner.CatchUp(context.Background()); err != nil {
			panic(err)
		}
	}
	return t
}

// pay returns the token of a payment of 5.00.
func (t *till) pay() eventstore.Token {
	payment, _ := t.events.Encode(Paid{Cents: 500})
	receipt, err := t.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "account-ada", Events: []eventstore.EventData{payment}},
	}})
	if err != nil {
		panic(err)
	}
	return receipt.Token
}

// A report may be an hour old, and a transfer of all the money that there is may not be old at all.
// The bus reads the head of the log when what it knows of it is older than is asked for.
func ExampleMaxStale() {
	till, ctx := newTill(), context.Background()
	till.Follow(query.NewHead(till.Store))
	till.pay()
	till.catchUp()
	account, err := query.Ask[Account](ctx, till.Bus, GetAccount{"ada"}, query.MaxStale(0))
	fmt.Println(account.Cents, err)

	till.pay() // and nobody has told us
	account, err = query.Ask[Account](ctx, till.Bus, GetAccount{"ada"}, query.MaxStale(time.Hour))
	fmt.Println(account.Cents, err)
	_, err = query.Ask[Account](ctx, till.Bus, GetAccount{"ada"}, query.MaxStale(0), query.Wait(0))
	late, _ := errors.AsType[*query.NotCaughtUpError](err)
	fmt.Println("at", late.At, "and not yet at", late.Want.Position)
	// Output:
	// 500 <nil>
	// 500 <nil>
	// at 1 and not yet at 2
}

// The page after a payment had better be there and say that the payment is not shown yet than
// not be there.
func ExampleOrStale() {
	till, ctx := newTill(), context.Background()
	till.pay()
	till.catchUp()
	token := till.pay()

	var told query.Freshness
	show := func() {
		account, err := query.Ask[Account](ctx, till.Bus, GetAccount{"ada"},
			query.After(token), query.Wait(10*time.Millisecond), query.OrStale(&told))
		fmt.Println(account.Cents, err)
		for _, missing := range told.Missing {
			fmt.Println("your last payment is not shown yet:", missing == token)
		}
	}
	show()
	till.catchUp()
	show()
	// Output:
	// 500 <nil>
	// your last payment is not shown yet: true
	// 1000 <nil>
}

// A user who goes on reading must not see the account go back to what it was, whichever node
// answers: each answer is asked for after the one before.
func ExampleTell() {
	till, ctx := newTill(), context.Background()
	till.pay()
	till.catchUp()

	var session query.Freshness
	for range 2 {
		account, err := query.Ask[Account](ctx, till.Bus, GetAccount{"ada"}, query.After(session.After...), query.Tell(&session))
		fmt.Println(account.Cents, err, "includes position", session.Includes[0].Position)
		till.pay()
		till.catchUp()
	}
	// Output:
	// 500 <nil> includes position 1
	// 1000 <nil> includes position 2
}
