package account_test

import (
	"testing"

	"github.com/leftfold/leftfold/eventstore/codec/codectest"
	"github.com/leftfold/leftfold/examples/bank/account"
)

// Every shape that was ever written has a payload in testdata/events, and what it means today
// stands beside it.
func TestThePastIsReadAsItAlwaysWas(t *testing.T) {
	codectest.Golden(t, account.Accounts.Events(), "testdata/events",
		codectest.Example{Event: account.Opened{Owner: "Ada", Currency: "GBP"}},
		codectest.Example{Event: account.Deposited{Cents: 2000}},
		codectest.Example{Name: "note", Event: account.Deposited{Cents: 2000, Note: "salary"}},
		codectest.Example{Event: account.Withdrawn{Cents: 500, Note: "rent"}},
		codectest.Example{Event: account.Sent{To: "2", Cents: 700}},
		codectest.Example{Event: account.Received{From: "1", Cents: 700}})
}

func FuzzThePast(f *testing.F) { codectest.Fuzz(f, account.Accounts.Events(), "testdata/events") }
