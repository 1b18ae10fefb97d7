package command_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

type Pay struct {
	To    string
	Cents int64
}

func (p Pay) Validate() error {
	if p.Cents <= 0 {
		return errors.New("nothing to pay")
	}
	return nil
}

// An id belongs to one command of one principal. Whoever uses it again for something
// else is told, and nothing happens.
func ExampleID() {
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	bus := command.NewBus()
	command.Handle(bus, "pay", func(ctx context.Context, cmd Pay) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, cmd.To, book(cmd.Cents))
	})

	ctx := context.Background()
	_, err := bus.Dispatch(ctx, Pay{To: "ada", Cents: 5}, command.Principal("bob"), command.ID("1"))
	fmt.Println(err)
	_, err = bus.Dispatch(ctx, Pay{To: "ada", Cents: 500}, command.Principal("bob"), command.ID("1"))
	fmt.Println(errors.Is(err, eventstore.ErrIdempotencyMismatch))
	receipt, err := bus.Dispatch(ctx, Pay{To: "ada", Cents: 500}, command.Principal("eve"), command.ID("1"))
	fmt.Println("position", receipt.Token.Position, "repeated", receipt.Repeated, err)
	// Output:
	// <nil>
	// true
	// position 2 repeated false <nil>
}

// A rule of yours says who may do what, before any handler runs.
func ExampleAuthorize() {
	bus := command.NewBus(command.Authorize(func(_ context.Context, principal, name string, _ any) error {
		if principal != "bob" {
			return errors.New("only bob may " + name)
		}
		return nil
	}))
	command.Handle(bus, "pay", func(context.Context, Pay) (eventstore.Receipt, error) {
		return eventstore.Receipt{}, nil
	})
	_, err := bus.Dispatch(context.Background(), Pay{To: "ada", Cents: 5}, command.Principal("eve"))
	fmt.Println(err)
	// Output: dispatch pay: authorize "eve": only bob may pay
}

func Example() {
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)

	bus := command.NewBus(command.Recover(), command.Validate(), command.Retry(3))
	command.Handle(bus, "pay", func(ctx context.Context, cmd Pay) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, cmd.To, book(cmd.Cents))
	})

	ctx := context.Background()
	_, err := bus.Dispatch(ctx, Pay{To: "ada"})
	fmt.Println(err)
	for range 2 { // the client repeats what it got no answer to
		receipt, err := bus.Dispatch(ctx, Pay{To: "ada", Cents: 5}, command.Principal("bob"), command.ID("1"))
		fmt.Println("position", receipt.Token.Position, "repeated", receipt.Repeated, err)
	}
	// Output:
	// dispatch pay: invalid command: nothing to pay
	// position 1 repeated false <nil>
	// position 1 repeated true <nil>
}
