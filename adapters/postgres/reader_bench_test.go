package postgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// BenchmarkReader is what an answer costs, with nothing to wait for: a row by its key, and a page.
// The load by itself is what it cannot be below.
func BenchmarkReader(b *testing.B) {
	store := openOn(b, newPool(b), postgres.Options{})
	fillSales(b, store, "uniform", 20_000)
	view := customers("customers", 1, "pence")
	require.NoError(b, projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), view)}}.CatchUp(b.Context()))
	head, err := store.Head(b.Context())
	require.NoError(b, err)
	reader := projection.NewReader(store.Sink(), view)
	var keys []string
	for row, err := range reader.All(b.Context(), projection.ListQuery{Limit: 1000}) {
		require.NoError(b, err)
		keys = append(keys, row.Name)
	}
	bus := query.NewBus()
	query.Handle(bus, "get", func(ctx context.Context, n int) (customer, error) { return reader.Get(ctx, keys[n%len(keys)]) }, query.Reads("customers"))
	query.Handle(bus, "page", func(ctx context.Context, _ string) (projection.Page[customer], error) {
		return reader.List(ctx, projection.ListQuery{By: "pence", Limit: 20})
	}, query.Reads("customers"))
	for n, options := range [][]query.AskOption{nil, {query.After(head)}} {
		name := []string{"", " after a token"}[n]
		b.Run("get"+name, func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				_, err := query.Ask[customer](b.Context(), bus, n, options...)
				require.NoError(b, err)
			}
		})
		b.Run("page"+name, func(b *testing.B) {
			for b.Loop() {
				_, err := query.Ask[projection.Page[customer]](b.Context(), bus, "", options...)
				require.NoError(b, err)
			}
		})
	}
	model := projection.Model{Generation: view.Generation(), Columns: []projection.Column{{Name: "pence", Kind: projection.Int}}}
	b.Run("load", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			_, err := store.Sink().Load(b.Context(), model, []string{keys[n%len(keys)]})
			require.NoError(b, err)
		}
	})
}
