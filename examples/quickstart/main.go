// Quickstart: a bank account whose state is a fold of its events. Run it twice: the
// commands carry ids, so the second run changes nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

type Account struct{ Balance int64 }

type Event interface{ apply(*Account) } // sealed: only this package adds events

type (
	Deposited struct{ Cents int64 }
	Withdrawn struct{ Cents int64 }
)

func (e Deposited) apply(a *Account) { a.Balance += e.Cents }
func (e Withdrawn) apply(a *Account) { a.Balance -= e.Cents }

var Accounts = aggregate.Define("account", Event.apply,
	codec.Event[Deposited]("account.deposited"),
	codec.Event[Withdrawn]("account.withdrawn"))

var ErrInsufficient = errors.New("insufficient funds")

func Deposit(cents int64) aggregate.Decision[Account, Event] {
	return func(Account) ([]Event, error) { return []Event{Deposited{cents}}, nil }
}

func Withdraw(cents int64) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if a.Balance < cents {
			return nil, ErrInsufficient
		}
		return []Event{Withdrawn{cents}}, nil
	}
}

type Balance struct {
	ID    string `leftfold:"key"`
	Cents int64
}

var Balances = projection.NewView("balances", projection.ViewOptions{Version: 1},
	projection.When(func(b *Balance, e Deposited, _ eventstore.Recorded) { b.Cents += e.Cents }),
	projection.When(func(b *Balance, e Withdrawn, _ eventstore.Recorded) { b.Cents -= e.Cents }))

type GetBalance struct{ ID string }

func main() {
	ctx, stop := context.WithCancel(context.Background())
	store, err := sqlite.Open(ctx, "quickstart.db", sqlite.Options{})
	check(err)

	// The write side: a decision on the account's newest state, appended under a command id.
	accounts := aggregate.NewRepository(store, Accounts)
	_, err = accounts.Execute(ctx, "acc-1", Deposit(2_000), aggregate.CommandID("salary-may"))
	check(err)
	receipt, err := accounts.Execute(ctx, "acc-1", Withdraw(500), aggregate.CommandID("rent-may"))
	check(err)
	_, err = accounts.Execute(ctx, "acc-1", Withdraw(9_999), aggregate.CommandID("yacht"))
	fmt.Println("yacht:", errors.Is(err, ErrInsufficient))

	// The read side: a table of balances, kept up to date while the program runs.
	runner := projection.Runner{Log: store, Events: Accounts.Events(), Tasks: []projection.Task{projection.Into(store.Sink(), Balances)}}
	ended := make(chan error)
	go func() { ended <- runner.Run(ctx) }()

	balances := projection.NewReader(store.Sink(), Balances)
	queries := query.NewBus()
	query.Handle(queries, "get_balance", func(ctx context.Context, q GetBalance) (Balance, error) {
		return balances.Get(ctx, q.ID)
	}, query.Reads("balances"))

	// The receipt's token makes the answer include the withdrawal.
	balance, err := query.Ask[Balance](ctx, queries, GetBalance{"acc-1"}, query.After(receipt.Token))
	check(err)
	fmt.Printf("%s: %d cents\n", balance.ID, balance.Cents)
	stop()
	check(errors.Join(<-ended, store.Close(context.Background())))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
