package aggregatetest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// printing stands in for the *testing.T that a test has.
type printing struct{ testing.TB }

func (printing) Helper()                           {}
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
