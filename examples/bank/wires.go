package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/bank/account"
	"github.com/leftfold/leftfold/examples/bank/wire"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// wires moves money from the branch in London to the one in Leeds, which has a file of its own.
func wires(ctx context.Context, london *sqlite.Store, path string, out io.Writer) (err error) {
	leeds, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leeds.Close(context.WithoutCancel(ctx))) }()
	if err := openAccounts(ctx, london, leeds); err != nil {
		return err
	}
	// Instances live in London, and the worker hears what happens in both stores.
	worker := saga.Worker{
		Store: london, Sources: []eventstore.LogReader{london, leeds}, Sink: london.Sink(),
		Sagas:      []saga.Saga{wire.Wires, wire.Clerk},
		Dispatcher: wire.Branches{"london": saga.ToBus(wire.NewBranch(london)), "leeds": saga.ToBus(wire.NewBranch(leeds))},
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	running := make(chan error, 1)
	go func() { running <- worker.Run(ctx); stop() }()
	err = order(ctx, london, leeds, out)
	stop()
	return errors.Join(err, <-running)
}

// openAccounts opens Fay's in London, with 100.00, and Gus's and Hal's in Leeds.
func openAccounts(ctx context.Context, london, leeds *sqlite.Store) error {
	here, there := aggregate.NewRepository(london, account.Accounts), aggregate.NewRepository(leeds, account.Accounts)
	_, err1 := here.Execute(ctx, "fay", account.Open("Fay", "EUR"))
	_, err2 := here.Execute(ctx, "fay", account.Deposit(100_00, "salary"), aggregate.CommandID("salary of fay"))
	_, err3 := there.Execute(ctx, "gus", account.Open("Gus", "EUR"))
	_, err4 := there.Execute(ctx, "hal", account.Open("Hal", "GBP"))
	return errors.Join(err1, err2, err3, err4)
}

func order(ctx context.Context, london, leeds *sqlite.Store, out io.Writer) error {
	orders := aggregate.NewRepository(london, wire.Orders)
	for _, w := range []struct {
		id, to string
		cents  int64
	}{{"rent", "gus", 30_00}, {"gift", "hal", 20_00}, {"yacht", "gus", 500_00}} {
		o := wire.Order{From: wire.Party{Branch: "london", Account: "fay"}, To: wire.Party{Branch: "leeds", Account: w.to}, Cents: w.cents, Currency: "EUR"}
		if _, err := orders.Execute(ctx, w.id, wire.Place(o)); err != nil {
			return err
		}
		end, err := ended(ctx, london.Sink(), w.id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s wires %s %s: %s\n", o.From, o.To, account.Money(o.Cents, o.Currency), end.Phase)
	}
	if err := holdings(ctx, london, out, "fay"); err != nil {
		return err
	}
	if err := holdings(ctx, leeds, out, "gus", "hal"); err != nil {
		return err
	}
	return story(ctx, london, "gift", out)
}

// ended waits for the end of a wire. The sink tells of each change that the worker makes.
func ended(ctx context.Context, sink projection.Sink, id string) (saga.Instance, error) {
	wires := projection.NewReader(sink, wire.Wires.Instances())
	for {
		changed := sink.Changed()
		row, err := wires.Get(ctx, id)
		if row.Phase.Ended() || err != nil && !errors.Is(err, projection.ErrNotFound) && !errors.Is(err, projection.ErrNotBuilt) {
			return row, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return row, ctx.Err()
		}
	}
}

// story tells what became of the steps of a wire. Its timeline has more: commands, attempts, timers.
func story(ctx context.Context, store eventstore.StreamReader, id string, out io.Writer) error {
	timeline, err := wire.Wires.Timeline(ctx, store, id)
	fmt.Fprintf(out, "%s, as it went:\n", id)
	for _, e := range timeline {
		if strings.HasPrefix(e.Kind, "saga.step.") || e.Kind == "saga.ended" {
			fmt.Fprintf(out, "  %s\n", e)
		}
	}
	return err
}

func holdings(ctx context.Context, branch *sqlite.Store, out io.Writer, ids ...string) error {
	accounts := aggregate.NewRepository(branch, account.Accounts)
	for _, id := range ids {
		a, _, err := accounts.Load(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %-5s %-5s %10s\n", id, a.Owner, account.Money(a.Cents, a.Currency))
	}
	return nil
}
