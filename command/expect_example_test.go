package command_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

// What the user saw when deciding is not what is there any more.
func ExampleExpect() {
	bus := transfers(memory.NewStore(), nil)
	ctx := context.Background()
	_, err := bus.Dispatch(ctx, Transfer{"ada", "bob", 30}, command.Expect(0))
	fmt.Println(err)
	_, err = bus.Dispatch(ctx, Transfer{"ada", "bob", 30}, command.Expect(0))
	fmt.Println(errors.Is(err, eventstore.ErrVersionConflict))
	// Output:
	// <nil>
	// true
}
