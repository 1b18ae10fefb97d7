package wire

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/bank/account"
	"github.com/leftfold/leftfold/saga"
)

// The commands that a branch handles.
type (
	// Booking is one side of a wire.
	Booking struct {
		Branch, Account, Other string
		Cents                  int64
		Currency               string
	}
	Send    Booking
	Receive Booking

	Ask struct {
		Branch, Wire string
		Order        Order
	}
	Answer struct {
		Branch, Wire string
		Yes          bool
	}
)

// NewBranch returns a bus that handles the commands for a branch, on its store. The saga's command
// id goes with ctx down to the append: a command that comes again does nothing.
func NewBranch(store aggregate.Store) *command.Bus {
	accounts, approvals := aggregate.NewRepository(store, account.Accounts), aggregate.NewRepository(store, Approvals)
	bus := command.NewBus()
	command.Handle(bus, "account.send", func(ctx context.Context, c Send) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, c.Account, account.Send(c.Other, c.Cents, c.Currency))
	})
	command.Handle(bus, "account.receive", func(ctx context.Context, c Receive) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, c.Account, account.Receive(c.Other, c.Cents, c.Currency))
	})
	command.Handle(bus, "approval.ask", func(ctx context.Context, c Ask) (eventstore.Receipt, error) {
		return approvals.Execute(ctx, c.Wire, ask(c.Order))
	})
	command.Handle(bus, "approval.answer", func(ctx context.Context, c Answer) (eventstore.Receipt, error) {
		return approvals.Execute(ctx, c.Wire, answer(c.Yes))
	})
	return bus
}

// Branches dispatches each command to the branch that it names. Here their buses are in one process;
// [httpapi.ToService] takes the place of saga.ToBus where they are not.
//
// [httpapi.ToService]: https://pkg.go.dev/github.com/leftfold/leftfold/adapters/httpapi#ToService
type Branches map[string]saga.Dispatcher

// Dispatch implements [saga.Dispatcher].
func (b Branches) Dispatch(ctx context.Context, c saga.Command) error {
	var at struct{ Branch string }
	if err := json.Unmarshal(c.Payload, &at); err != nil {
		return fmt.Errorf("read the branch of %s: %w", c.Name, err)
	}
	if to := b[at.Branch]; to != nil {
		return to.Dispatch(ctx, c)
	}
	return fmt.Errorf("%s: there is no branch %q", c.Name, at.Branch) // tried again: it may open
}
