package projectiontest_test

import (
	"fmt"
	"testing"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// printing stands in for the *testing.T that a test has.
type printing struct{ testing.TB }

func (printing) Helper()                           {}
func (printing) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printing) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A test of a view is a story: events that happened, then the rows they give. It needs
// no store and no sink.
func ExampleGiven() {
	type Paid struct{ Cents int64 }
	type Account struct {
		ID    string `leftfold:"key"`
		Cents int64
	}
	events, _ := codec.NewSet(codec.Event[Paid]("paid"))
	accounts := projection.NewView("accounts", projection.ViewOptions{Version: 1},
		projection.When(func(a *Account, e Paid, _ eventstore.Recorded) { a.Cents += e.Cents }))

	var t printing
	projectiontest.Given(t, accounts, events).
		Happened("account-ada", Paid{300}, Paid{200}).
		Happened("account-bob", Paid{50}).
		Rows(map[string]Account{
			"ada": {ID: "ada", Cents: 500},
			"bob": {ID: "bob", Cents: 40}, // a mistake
		})
	// Output:
	// row "bob":
	//  got {ID:bob Cents:50}
	// want {ID:bob Cents:40}
}
