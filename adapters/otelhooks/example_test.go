package otelhooks_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/otelhooks"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

// The bus and the store of a repository are given hooks; the rest of the program stays as it is.
func Example() {
	exported := tracetest.NewInMemoryExporter() // in place of one that sends
	hooks, err := otelhooks.New(otelhooks.Options{TracerProvider: trace.NewTracerProvider(trace.WithSyncer(exported))})
	if err != nil {
		panic(err)
	}
	accounts := aggregate.NewRepository(hooks.Store(memory.NewStore()), Accounts)
	commands := command.NewBus(hooks.Commands())
	command.Handle(commands, "account.deposit", func(ctx context.Context, c Deposit) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, c.Account, func(Account) ([]Event, error) { return []Event{Deposited{c.Cents}}, nil })
	})

	_, err = commands.Dispatch(context.Background(), Deposit{"ada", 500})
	for _, span := range exported.GetSpans() { // in the order in which they ended
		fmt.Println(span.SpanKind, span.Name)
	}
	fmt.Println(err)
	// Output:
	// client load account
	// producer append account
	// internal command account.deposit
	// <nil>
}
