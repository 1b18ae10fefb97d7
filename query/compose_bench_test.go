package query_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/query"
)

// What a composition of four parts in the process costs: against bare goroutines, which say nothing
// of what is missing, and against asking one after another. The parts are functions that do
// nothing, or questions to a bus, within the handler of a question that requires nothing.

func BenchmarkCompose4Parts(b *testing.B) {
	inEachWay(b, func(ctx context.Context, ask func(context.Context) (int, error)) error {
		w, x, y, z := query.Part("w", ask), query.Part("x", ask), query.Part("y", ask), query.Part("z", ask)
		_, err := query.Compose(ctx, w, x, y, z)
		return err
	})
}

func BenchmarkCompose4PartsBareGoroutines(b *testing.B) {
	inEachWay(b, func(ctx context.Context, ask func(context.Context) (int, error)) (failed error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var got [4]int
		var asking sync.WaitGroup
		var once sync.Once
		for n := range got {
			asking.Go(func() {
				var err error
				if got[n], err = ask(ctx); err != nil {
					once.Do(func() { failed = err; cancel() })
				}
			})
		}
		asking.Wait()
		return failed
	})
}

func BenchmarkCompose4PartsOneAfterAnother(b *testing.B) {
	inEachWay(b, func(ctx context.Context, ask func(context.Context) (int, error)) (err error) {
		var got [4]int
		for n := range got {
			if got[n], err = ask(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func inEachWay(b *testing.B, compose func(ctx context.Context, ask func(context.Context) (int, error)) error) {
	b.Run("functions", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := compose(b.Context(), func(context.Context) (int, error) { return 1, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("questions", func(b *testing.B) {
		bus := arithmetic()
		query.Handle(bus, "composed", func(ctx context.Context, _ getPage) (int, error) {
			b.ReportAllocs()
			for b.Loop() {
				if err := compose(ctx, func(ctx context.Context) (int, error) { return query.Ask[int](ctx, bus, double{1}) }); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		_, err := query.Ask[int](b.Context(), bus, getPage{})
		require.NoError(b, err)
	})
}
