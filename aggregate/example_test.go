package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// The account of these examples is in account_test.go: a struct, three events behind an
// interface, and Deposit and Withdraw, which return decisions.
func Example() {
	ctx := context.Background()
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)

	_, err := accounts.Execute(ctx, "ada", Deposit(1000))
	fmt.Println("deposit:", err)
	_, err = accounts.Execute(ctx, "ada", Withdraw(5000))
	fmt.Println("withdraw:", err)

	account, version, err := accounts.Load(ctx, "ada")
	fmt.Println("balance", account.Balance, "at version", version, err)
	// Output:
	// deposit: <nil>
	// withdraw: execute account-ada: insufficient funds
	// balance 1000 at version 1 <nil>
}

type Light struct{ On bool }

type Switched struct{ On bool }

func ExampleDefine() {
	lights := aggregate.Define("light",
		func(e Switched, light *Light) { light.On = e.On },
		codec.Event[Switched]("light.switched"))

	var light Light
	lights.Fold(&light, Switched{On: true}, Switched{On: false}, Switched{On: true})
	fmt.Printf("%s: %+v\n", lights.Stream("hall"), light)
	// Output: light-hall: {On:true}
}

// A command that has succeeded often makes itself impossible: the account is empty. Its
// repeat is recognized by the id and gets the first receipt.
func ExampleCommandID() {
	ctx := context.Background()
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	_, _ = accounts.Execute(ctx, "ada", Deposit(100))

	for range 2 {
		receipt, err := accounts.Execute(ctx, "ada", Withdraw(100), aggregate.CommandID("order-7"))
		fmt.Println("position", receipt.Token.Position, "repeated", receipt.Repeated, err)
	}
	// Output:
	// position 2 repeated false <nil>
	// position 2 repeated true <nil>
}

func ExampleExecuteAll() {
	ctx := context.Background()
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	_, _ = accounts.Execute(ctx, "ada", Deposit(100))

	receipt, err := aggregate.ExecuteAll(ctx, store, []aggregate.Plan{
		accounts.Plan("ada", Withdraw(30)),
		accounts.Plan("bob", Deposit(30)),
	})
	fmt.Println(receipt.Versions, err)
	// Output: map[account-ada:2 account-bob:1] <nil>
}

func ExampleRepository_LoadAsOf() {
	ctx := context.Background()
	clock := time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)
	store := memory.NewStoreWith(memory.StoreOptions{Now: func() time.Time { return clock }})
	accounts := aggregate.NewRepository(store, Accounts)
	for range 3 { // a deposit a day
		_, _ = accounts.Execute(ctx, "ada", Deposit(100))
		clock = clock.AddDate(0, 0, 1)
	}

	endOfMarch2nd := time.Date(2026, time.March, 3, 0, 0, 0, 0, time.UTC)
	account, version, err := accounts.LoadAsOf(ctx, "ada", endOfMarch2nd)
	fmt.Println("balance", account.Balance, "at version", version, err)
	// Output: balance 200 at version 2 <nil>
}

func ExampleRepository_LoadAt() {
	ctx := context.Background()
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	for range 3 {
		_, _ = accounts.Execute(ctx, "ada", Deposit(100))
	}

	account, err := accounts.LoadAt(ctx, "ada", 2)
	fmt.Println("balance", account.Balance, err)
	_, err = accounts.LoadAt(ctx, "ada", 7)
	fmt.Println(err)
	// Output:
	// balance 200 <nil>
	// load account-ada at version 7: it is at version 3
}

// The user saw version 1 and pressed a button, as an If-Match header says. Meanwhile
// somebody else was faster, so the user must look again.
func ExampleExpectVersion() {
	ctx := context.Background()
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	_, _ = accounts.Execute(ctx, "ada", Deposit(100))
	_, seen, _ := accounts.Load(ctx, "ada")
	_, _ = accounts.Execute(ctx, "ada", Deposit(1))

	_, err := accounts.Execute(ctx, "ada", Withdraw(100), aggregate.ExpectVersion(seen))
	fmt.Println(err)
	fmt.Println(errors.Is(err, eventstore.ErrVersionConflict))
	// Output:
	// execute account-ada: version conflict on account-ada: expected version 1, it is at version 2
	// true
}

// What is known about an event besides its facts goes into its metadata.
func ExampleMetadata() {
	ctx, store := context.Background(), memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	_, _ = accounts.Execute(ctx, "ada", Deposit(100),
		aggregate.Metadata(eventstore.Metadata{eventstore.MetadataActor: "teller-3"}))

	for event, err := range store.ReadStream(ctx, Accounts.Stream("ada"), eventstore.StreamRange{}) {
		if err != nil {
			panic(err)
		}
		metadata, err := eventstore.ParseMetadata(event.Metadata)
		fmt.Println(event.Type, metadata[eventstore.MetadataActor], err)
	}
	// Output: account.deposited teller-3 <nil>
}

// A course has two places. Whoever enrols, in whatever stream, the query finds them, and
// the append is refused if another student was faster: then Decide counts again.
func ExampleDecide() {
	type StudentEnrolled struct{ Course, Student string }
	events, err := codec.NewSet(codec.Event[StudentEnrolled]("student.enrolled",
		codec.Tags(func(e StudentEnrolled) []eventstore.Tag {
			return []eventstore.Tag{eventstore.NewTag("course", e.Course)}
		})))
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, store := context.Background(), memory.NewStore()
	for _, student := range []string{"ada", "bob", "eve"} {
		_, err := aggregate.Decide(ctx, store, events, eventstore.Tagged("course:go"),
			func(taken *int, _ any, _ eventstore.Recorded) { *taken++ },
			func(taken int) ([]aggregate.Write, error) {
				if taken == 2 {
					return nil, errors.New("no place left")
				}
				return []aggregate.Write{{
					Stream: eventstore.NewStreamID("student", student),
					Events: []any{StudentEnrolled{"go", student}},
				}}, nil
			})
		fmt.Println(student, err)
	}
	// Output:
	// ada <nil>
	// bob <nil>
	// eve decide over any type tagged course:go: no place left
}

// A long stream is folded from its last snapshot on. Snapshots are taken in the background, and
// nothing depends on them: remove any at any time.
func ExampleSnapshots() {
	ctx, stop := context.WithCancel(context.Background())
	meters := aggregate.Define("meter",
		func(e Read, m *Meter) { m.Last, m.Readings = e.Value, m.Readings+1 },
		codec.Event[Read]("meter.read")).
		FoldVersion(1) // raise it when the fold changes

	snapshots := aggregate.NewSnapshots(memory.NewSnapshots(), aggregate.SnapshotOptions{Every: 50})
	stopped := make(chan error)
	go func() { stopped <- snapshots.Run(ctx) }()

	repository := aggregate.NewRepository(memory.NewStore(), meters).WithSnapshots(snapshots)
	for n := range 200 {
		_, err := repository.Execute(ctx, "cellar", func(Meter) ([]Read, error) { return []Read{{n}}, nil })
		if err != nil {
			fmt.Println(err)
		}
	}
	meter, version, err := repository.Load(ctx, "cellar")
	fmt.Printf("%+v at version %d %v\n", meter, version, err)
	stop()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// {Last:199 Readings:200} at version 200 <nil>
	// stopped: <nil>
}

type Meter struct{ Last, Readings int }

type Read struct{ Value int }

// With a cache, a decision on an aggregate that was appended to before reads nothing. What another
// program appends meanwhile is a conflict, and then read; a refusal is made again on what the log
// has, before it is believed.
func ExampleRepository_WithCache() {
	ctx, store := context.Background(), memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts).WithCache(aggregate.CacheOptions{States: 10_000})
	elsewhere := aggregate.NewRepository(store, Accounts) // another program

	_, err := accounts.Execute(ctx, "ada", Deposit(100))
	fmt.Println("deposit:", err)
	_, err = elsewhere.Execute(ctx, "ada", Deposit(900))
	fmt.Println("deposit elsewhere:", err)
	_, err = accounts.Execute(ctx, "ada", Withdraw(1000))
	fmt.Println("withdraw:", err)
	// Output:
	// deposit: <nil>
	// deposit elsewhere: <nil>
	// withdraw: <nil>
}
