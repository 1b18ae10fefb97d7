// Bank keeps accounts in bank.db in the current directory. Its first events are years old, in shapes
// that nobody writes any more; today's program reads them, moves money, and looks back. A second branch
// keeps its accounts in bank-leeds.db.
//
//	go run ./examples/bank
//	go run ./examples/bank wire
//	go run ./examples/bank schema check
//
// Run it twice: the commands carry ids, so what has happened does not happen again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore/schema"
	"github.com/leftfold/leftfold/examples/bank/account"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), "bank.db", os.Args[1:], os.Stdout); err != nil {
		log.Fatal("bank: ", err)
	}
}

func run(ctx context.Context, path string, args []string, out io.Writer) (err error) {
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	if err := past(ctx, store); err != nil {
		return err
	}
	switch strings.Join(args, " ") {
	case "":
		return today(ctx, store, out)
	case "wire":
		return wires(ctx, store, strings.TrimSuffix(path, ".db")+"-leeds.db", out)
	case "schema check":
		return check(ctx, store, out)
	default:
		return fmt.Errorf("unknown arguments %q: want none, wire, or schema check", args)
	}
}

// check says whether this build reads everything that the log holds. Run it before a deploy.
func check(ctx context.Context, store *sqlite.Store, out io.Writer) error {
	report, err := schema.Check(ctx, store, account.Accounts.Events(), schema.CheckOptions{All: true})
	if err != nil {
		return err
	}
	return errors.Join(report.Print(out), report.Err())
}

// today serves while the balances follow the log and snapshots are taken.
func today(ctx context.Context, store *sqlite.Store, out io.Writer) error {
	snapshots := aggregate.NewSnapshots(store.Snapshots(), aggregate.SnapshotOptions{Every: 3}) // 100 is the default
	accounts := aggregate.NewRepository(store, account.Accounts).WithSnapshots(snapshots)
	views := projection.Runner{
		Log: store, Events: account.Accounts.Events(),
		Tasks: []projection.Task{projection.Into(store.Sink(), account.Balances)},
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	running := make(chan error, 2)
	go func() { running <- views.Run(ctx); stop() }()
	go func() { running <- snapshots.Run(ctx) }()

	err := serve(ctx, store, accounts, out)
	stop()
	return errors.Join(err, <-running, <-running)
}

func serve(ctx context.Context, store *sqlite.Store, accounts *account.Repository, out io.Writer) error {
	_, err := account.Transfer(ctx, store, accounts, "ada", "bob", 100_000, "EUR", aggregate.CommandID("yacht"))
	fmt.Fprintf(out, "ada sends bob 1000.00 EUR: %v\n", err)
	if !errors.Is(err, account.ErrInsufficient) {
		return err
	}
	receipt, err := account.Transfer(ctx, store, accounts, "ada", "bob", 2_550, "EUR", aggregate.CommandID("dinner"))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ada sends bob 25.50 EUR")

	queries := account.Queries(store.Sink())
	balances, err := query.Ask[[]account.Balance](ctx, queries, account.GetBalances{}, query.After(receipt.Token))
	if err != nil {
		return err
	}
	for _, b := range balances {
		fmt.Fprintf(out, "  %-5s %-5s %10s\n", b.ID, b.Owner, account.Money(b.Cents, b.Currency))
	}
	return lookBack(ctx, accounts, "ada", out)
}

// lookBack tells what an account was after each of its events.
func lookBack(ctx context.Context, accounts *account.Repository, id string, out io.Writer) error {
	fmt.Fprintf(out, "%s, as it was:\n", id)
	for step, err := range accounts.History(ctx, id) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  version %d, %s v%d: %s\n", step.Version, step.Type, step.SchemaVersion, account.Money(step.State.Cents, "EUR"))
	}
	return nil
}
