package postgrestest_test

import (
	"testing"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/eventstore"
)

// A test of your own with a real store, of which no other test sees anything.
func ExampleOpen() {
	var t *testing.T // of func TestOrders(t *testing.T)

	test := func() {
		store := postgrestest.Open(t)
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: "order-42", Events: []eventstore.EventData{{Type: "order.placed"}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = test
}

// The store with options, and the database for tables of your own.
func ExamplePool() {
	var t *testing.T // of func TestInvoices(t *testing.T)

	test := func() {
		pool := postgrestest.Pool(t)
		store, err := postgres.Open(t.Context(), pool, postgres.Options{Readers: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close(t.Context())
		if _, err := pool.Exec(t.Context(), "CREATE TABLE invoices (id text PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
	}
	_ = test
}
