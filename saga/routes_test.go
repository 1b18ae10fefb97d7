package saga_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/saga"
)

// Some commands go to another service, the others to a bus in this process.
func ExampleRoutes() {
	to := func(name string) saga.Dispatcher {
		return saga.DispatcherFunc(func(_ context.Context, c saga.Command) error {
			fmt.Println(c.Name, "to", name)
			return nil
		})
	}
	dispatcher := saga.Routes{"account": to("accounts"), "account.close": to("the board"), "flight": saga.ToBus(agency())}
	for _, name := range []string{"account.open", "account.close"} {
		if err := dispatcher.Dispatch(context.Background(), saga.Command{Name: name}); err != nil {
			fmt.Println(err)
		}
	}
	err := dispatcher.Dispatch(context.Background(), saga.Command{Name: "accuont.open"})
	fmt.Println(err, errors.Is(err, saga.ErrRefused))
	// Output:
	// account.open to accounts
	// account.close to the board
	// dispatch accuont.open: it has no route: add "accuont.open" or "accuont" to saga.Routes false
}
