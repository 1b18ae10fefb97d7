package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/projection"
)

const rebuiltEvents = 1_000_000

// BenchmarkRebuild builds a view with two indexes from a million events: as its live runner does,
// and as a rebuild, from the call until it is live in the place of another.
func BenchmarkRebuild(b *testing.B) {
	for _, keys := range []string{"uniform", "zipf"} {
		b.Run(keys, func(b *testing.B) {
			pool := newPool(b)
			store := openOn(b, pool, postgres.Options{})
			fillSales(b, store, keys, rebuiltEvents)
			_, err := pool.Exec(b.Context(), "VACUUM (ANALYZE, FREEZE) leftfold.events")
			require.NoError(b, err)
			name := benchName()
			at := func(version int) projection.Task {
				return projection.Into(store.Sink(), customers(name, version, "pence", "last"))
			}
			rate := func(b *testing.B) { b.ReportMetric(float64(rebuiltEvents*b.N)/b.Elapsed().Seconds(), "events/s") }
			checkpoint := func(b *testing.B) {
				b.StopTimer()
				_, err := pool.Exec(b.Context(), "CHECKPOINT")
				require.NoError(b, err)
				b.StartTimer()
			}
			version := 1
			b.Run("live", func(b *testing.B) {
				for b.Loop() {
					name, version = benchName(), 1
					checkpoint(b)
					require.NoError(b, projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{at(1)}}.CatchUp(b.Context()))
				}
				rate(b)
			})
			b.Run("rebuild", func(b *testing.B) {
				for b.Loop() {
					version++
					checkpoint(b)
					options := projection.RebuildOptions{OnProgress: logPhases(b)}
					require.NoError(b, projection.Rebuild(b.Context(), store, soldEvents, at(version), options))
				}
				rate(b)
			})
		})
	}
}

// logPhases logs when each phase of a rebuild begins.
func logPhases(b *testing.B) func(projection.RebuildProgress) {
	phase := projection.Phase("")
	return func(p projection.RebuildProgress) {
		if p.Phase != phase {
			phase = p.Phase
			b.Logf("%v: %s, %d of %d, %.0f events/s", b.Elapsed().Round(1e6), p.Phase, p.Done, p.Total, p.Rate)
		}
	}
}
