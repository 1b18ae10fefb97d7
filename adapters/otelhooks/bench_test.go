package otelhooks_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/otelhooks"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

// BenchmarkDispatch dispatches commands that execute a decision in memory, where what telemetry
// costs shows best.
func BenchmarkDispatch(b *testing.B) {
	hooksWith := func(o otelhooks.Options) *otelhooks.Hooks {
		hooks, err := otelhooks.New(o)
		require.NoError(b, err)
		return hooks
	}
	measured := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	for _, bench := range []struct {
		name  string
		hooks *otelhooks.Hooks // nil: not hooked
	}{
		{"without hooks", nil},
		{"no SDK", hooksWith(otelhooks.Options{})},
		{"metrics", hooksWith(otelhooks.Options{MeterProvider: measured})},
		{"metrics, 1 of 100 traces kept", hooksWith(otelhooks.Options{MeterProvider: measured, TracerProvider: trace.NewTracerProvider(trace.WithSampler(trace.TraceIDRatioBased(.01)))})},
		{"metrics, all traces kept", hooksWith(otelhooks.Options{MeterProvider: measured, TracerProvider: trace.NewTracerProvider()})},
	} {
		b.Run(bench.name, func(b *testing.B) {
			store, middleware := eventstore.Store(memory.NewStore()), []command.Middleware(nil)
			if bench.hooks != nil {
				store, middleware = bench.hooks.Store(store), append(middleware, bench.hooks.Commands())
			}
			bus := commandsOn(store, middleware...)
			b.ReportAllocs()
			for b.Loop() {
				id := eventstore.NewEventID() // a fresh aggregate each time, so that loading costs nothing
				_, err := bus.Dispatch(b.Context(), Deposit{id.String(), 1})
				require.NoError(b, err)
			}
		})
	}
}
