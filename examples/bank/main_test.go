package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
)

// The program, as the README shows it. The second run finds that all has happened.
func Example() {
	dir, err := os.MkdirTemp("", "bank")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	_ = run(context.Background(), dir+"/bank.db", nil, io.Discard)
	_ = run(context.Background(), dir+"/bank.db", nil, os.Stdout)
	// Output:
	// ada sends bob 1000.00 EUR: execute account-ada, account-bob: account-ada: insufficient funds
	// ada sends bob 25.50 EUR
	//   ada   Ada    29.50 EUR
	//   bob   Bob    35.50 EUR
	//   cleo  Cleo    0.00 GBP
	// ada, as it was:
	//   version 1, account.opened v1: 20.00 EUR
	//   version 2, account.viewed v1: 20.00 EUR
	//   version 3, account.booked v1: 70.00 EUR
	//   version 4, account.booked v1: 55.00 EUR
	//   version 5, account.booked v1: 55.00 EUR
	//   version 6, account.sent v1: 29.50 EUR
}

// Wires between the branches.
func Example_wire() {
	dir, err := os.MkdirTemp("", "bank")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	_ = run(context.Background(), dir+"/bank.db", []string{"wire"}, os.Stdout)
	// Output:
	// london/fay wires leeds/gus 30.00 EUR: completed
	// london/fay wires leeds/hal 20.00 EUR: compensated
	// london/fay wires leeds/gus 500.00 EUR: compensated
	//   fay   Fay    70.00 EUR
	//   gus   Gus    30.00 EUR
	//   hal   Hal     0.00 GBP
	// gift, as it went:
	//   step started: step send
	//   step completed: step send
	//   step started: step approve
	//   step completed: step approve
	//   step started: step receive
	//   step failed: step receive: dispatch account.receive: execute account-hal: the account has another currency
	//   step undone: step send
	//   ended: compensated
}

func TestTheSchemaCheckPassesUntilTheLogHoldsWhatThisBuildDoesNotTake(t *testing.T) {
	path := t.TempDir() + "/bank.db"
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), path, []string{"schema", "check"}, &out))
	assert.Regexp(t, `account.opened +1 +1 +1 +1 +1 +ok`, out.String())

	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-bob", Events: []eventstore.EventData{
		{Type: "account.deposited", Data: []byte(`{"cents":5,"branch":"Leeds"}`)},
	}}}})
	require.NoError(t, err)
	require.NoError(t, store.Close(t.Context()))

	require.ErrorContains(t, run(t.Context(), path, []string{"schema", "check"}, &out),
		`account.deposited (schema version 1) at position 9, version 3 of account-bob: branch: the type does not take it ("Leeds")`)
}

func TestUnknownArgumentsAreRefused(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), t.TempDir()+"/bank.db", []string{"rob"}, io.Discard), "want none, wire, or schema check")
}
