package aggregatetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// printing stands in for the *testing.T that a test has.
type printing struct{ testing.TB }

func (printing) Helper()                           {}
func (printing) Name() string                      { return "Example" }
func (printing) Context() context.Context          { return context.Background() }
func (printing) Failed() bool                      { return false }
func (printing) Logf(string, ...any)               {}
func (printing) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// A test of a decision is a sentence: given what has happened, when somebody decides,
// then this follows. It needs no store.
func ExampleFor() {
	type Booked struct{ Guest string }
	type Table struct{ Guest string }
	tables := aggregate.Define("table",
		func(e Booked, table *Table) { table.Guest = e.Guest },
		codec.Event[Booked]("table.booked"))

	taken := errors.New("table is taken")
	book := func(guest string) aggregate.Decision[Table, Booked] {
		return func(table Table) ([]Booked, error) {
			if table.Guest != "" {
				return nil, taken
			}
			return []Booked{{guest}}, nil
		}
	}

	var t printing
	aggregatetest.For(t, tables).
		When(book("ada")).
		Then(Booked{"ada"}).
		ThenState(Table{Guest: "ada"})
	aggregatetest.For(t, tables).
		Given(Booked{"ada"}).
		When(book("bob")).
		ThenRefused(taken)
	aggregatetest.For(t, tables).
		Given(Booked{"ada"}).
		When(book("eve")).
		Then(Booked{"eve"}) // a mistake
	// Output:
	// got  a refusal: table is taken
	// want events aggregatetest_test.Booked{Guest:eve}
}

// The seats of a hall are examples of an aggregate with a limit.
type (
	Hall   struct{ Taken int }
	Taken  struct{ By string }
	seller = aggregate.Decision[Hall, Taken]
)

var (
	halls   = aggregate.Define("hall", func(e Taken, h *Hall) { h.Taken++ }, codec.Event[Taken]("hall.taken"))
	errFull = errors.New("the hall is full")
)

func sell(by string) seller {
	return func(h Hall) ([]Taken, error) {
		if h.Taken == 2 {
			return nil, errFull
		}
		return []Taken{{by}}, nil
	}
}

// Somebody else is faster, and takes the last seat.
func ExampleScenario_Meanwhile() {
	var t printing
	aggregatetest.For(t, halls).
		Given(Taken{"ada"}).
		Meanwhile(Taken{"eve"}).
		When(sell("bob")).
		ThenRefused(errFull)
	fmt.Println("refused")
	// Output: refused
}

// A story is about the code around a decision: here, who is said to have acted.
func ExampleIn() {
	var t printing
	handle := func(ctx context.Context, halls *aggregate.Repository[Hall, Taken]) error {
		_, err := halls.Execute(ctx, "opera", sell("bob"), aggregate.Metadata(eventstore.Metadata{eventstore.MetadataActor: "box office"}))
		return err
	}
	aggregatetest.In(t, memory.NewStore(), halls).
		Given("opera", Taken{"ada"}).
		When(handle).
		Then("opera", Taken{"bob"}).
		ThenMetadata("opera", eventstore.Metadata{eventstore.MetadataActor: "web shop"}) // a mistake
	// Output:
	// version 2 of hall-opera
	// got  metadata map[actor:box office]
	// want actor=web shop
}

// No sequence of sales sells more seats than there are.
func ExampleHolds() {
	var t printing
	aggregatetest.Holds(t, halls,
		func(h Hall) error {
			if h.Taken > 2 {
				return fmt.Errorf("%d seats are sold", h.Taken)
			}
			return nil
		},
		map[string]aggregatetest.Command[Hall, Taken]{
			"sell": func(t *rapid.T) seller { return sell(rapid.StringN(1, 5, -1).Draw(t, "by")) },
		})
	fmt.Println("it holds")
	// Output: it holds
}
