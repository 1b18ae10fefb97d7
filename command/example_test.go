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
