package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
)

// The whole program, as the README shows it.
func Example() {
	dir, err := os.MkdirTemp("", "own-transaction")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := run(context.Background(), dir+"/own-transaction.db", ""); err != nil {
		panic(err)
	}
	// Output:
	// order 42: invoice 1
	// order 43: no invoice of -100 pence
	// order 42: the order has an invoice already
	// order 44: invoice 2
	// 2 rows, 2 events, the same
}

// Eight clerks invoice the same orders at once, on both stores.
func TestRowsAndEventsAreTheSameHoweverManyInvoice(t *testing.T) {
	for name, url := range map[string]func() string{
		"SQLite":   func() string { return "" },
		"Postgres": func() string { return postgrestest.Pool(t).Config().ConnString() },
	} {
		t.Run(name, func(t *testing.T) {
			b, closing, err := open(t.Context(), t.TempDir()+"/own-transaction.db", url())
			require.NoError(t, err)
			defer func() { require.NoError(t, closing()) }()
			var clerks sync.WaitGroup
			errs := make([]error, 8)
			for clerk := range errs {
				clerks.Go(func() {
					for n := range 5 {
						_, err := b.invoice(t.Context(), fmt.Sprint(n), 100)
						if !errors.Is(err, ErrInvoiced) {
							errs[clerk] = errors.Join(errs[clerk], err)
						}
					}
				})
			}
			clerks.Wait()
			require.NoError(t, errors.Join(errs...))
			invoices, err := b.audit(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 5, invoices)
		})
	}
}
