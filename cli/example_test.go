package cli_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

type (
	deposited struct{ Cents int64 }
	account   struct{ Cents int64 }
	balance   struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
)

// A program's command, made of the values that the program runs with. Its main is cli.Main(cli.Command(bank)).
func ExampleCommand() {
	accounts := aggregate.Define("account", func(e deposited, a *account) { a.Cents += e.Cents }, codec.Event[deposited]("account.deposited"))
	balances := projection.NewView("balances", projection.ViewOptions{Version: 1},
		projection.When(func(b *balance, e deposited, _ eventstore.Recorded) { b.Cents += e.Cents }))

	// A real program opens its database here: nothing is opened for --help.
	today := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	store := memory.NewStoreWith(memory.StoreOptions{Now: func() time.Time { return today }})
	bank := cli.App{Name: "bank", Open: func(context.Context) (cli.Parts, error) {
		return cli.Parts{
			Projections: []projection.Worker{{Log: store, Events: accounts.Events(), Tasks: []projection.Task{projection.Into(memory.NewSink(), balances)}}},
			Aggregates:  []cli.Aggregate{cli.Of(store, accounts)},
		}, nil
	}}

	ctx := context.Background()
	for _, cents := range []int64{500, 250} {
		_, err := aggregate.NewRepository(store, accounts).Execute(ctx, "ada", func(account) ([]deposited, error) { return []deposited{{cents}}, nil })
		if err != nil {
			fmt.Println(err)
		}
	}
	cli.Run(ctx, cli.Command(bank), []string{"state-at", "account-ada", "--version", "1"}, os.Stdout, os.Stderr)
	cli.Run(ctx, cli.Command(bank), []string{"diff", "account-ada"}, os.Stdout, os.Stderr)
	// Output:
	// account-ada at version 1: account.deposited, position 1, recorded 2026-11-27T09:00:00Z
	// {
	//   "Cents": 500
	// }
	// from  account-ada at version 1: account.deposited, position 1, recorded 2026-11-27T09:00:00Z
	// to    account-ada at version 2: account.deposited, position 2, recorded 2026-11-27T09:00:00Z
	//   /Cents: 500 -> 750
}
