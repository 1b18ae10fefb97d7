package shop_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// faults decline payments, and leave a country without parcels.
func faults() map[string]*host.Faults {
	all := map[string]*host.Faults{}
	for _, name := range shop.Names {
		all[name] = new(host.Faults)
		all[name].Set(host.SetFaults{DeclinePercent: 10, DeclineOver: 500_00, NobodyGoesTo: []string{"France", "EIRE", "Germany"}})
	}
	return all
}

// small are real orders with no more lines than that.
func small(lines int) iter.Seq2[api.Order, error] {
	return func(yield func(api.Order, error) bool) {
		for o, err := range feed.Orders(data.Open()) {
			if (err != nil || len(o.Lines) <= lines) && !yield(o, err) {
				return
			}
		}
	}
}

func runs(t *testing.T, c shop.Config, orders int, meanwhile func(all *shop.All)) books.Report {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	all, err := c.Start(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	ledger, closing, err := c.Books(ctx)
	require.NoError(t, err)
	begun := time.Now()
	placed, err := feed.Place(ctx, &httpapi.Client{URL: all.URLs["gateway"]}, small(6), feed.Options{Most: orders, Stock: 200})
	require.NoError(t, err)
	require.Equal(t, orders, placed)
	t.Log("placed after", time.Since(begun))
	start := time.Now()
	report, err := books.Wait(ctx, ledger)
	t.Logf("%+v %v", report, time.Since(start))
	require.NoError(t, err)
	require.NoError(t, closing())
	require.NoError(t, all.Close())
	return report
}

func TestTheBooksAddUpWhenASagaDirects(t *testing.T) {
	r := runs(t, shop.Config{Where: host.Where{Dir: t.TempDir()}, Faults: faults()}, 100, nil)
	require.Positive(t, r.Fulfilled)
}

func TestTheBooksAddUpWhenNobodyDirects(t *testing.T) {
	r := runs(t, shop.Config{Where: host.Where{Dir: t.TempDir()}, Faults: faults(), Choreographed: true}, 100, nil)
	require.Positive(t, r.Fulfilled)
}

func TestTheBooksAddUpWhenOneTransactionSpansTheServices(t *testing.T) {
	url := postgrestest.Pool(t).Config().ConnString()
	r := runs(t, shop.Config{Where: host.Where{Postgres: url}, SharedDB: true, Faults: faults()}, 100, nil)
	require.Positive(t, r.Fulfilled)
}
