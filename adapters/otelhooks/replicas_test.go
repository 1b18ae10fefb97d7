package otelhooks_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/projection"
)

// gone is a server that is well until it is read.
type gone struct{ *memory.Sink }

func (gone) Look(context.Context, projection.Model, projection.RowQuery) (projection.Look, error) {
	return projection.Look{}, errors.New("connection reset")
}

func TestReplicasAreTold(t *testing.T) {
	t.Parallel()
	told, store, sink := listen(t), memory.NewStore(), memory.NewSink()
	require.NoError(t, projection.Runner{Log: store, Events: Accounts.Events(), Tasks: []projection.Task{projection.Into(sink, balances)}}.CatchUp(t.Context()))
	lags := func(lag time.Duration, err error) func(context.Context) (time.Duration, error) {
		return func(context.Context) (time.Duration, error) { return lag, err }
	}
	var probes atomic.Int64
	replicas := projection.NewReplicas(t.Context(), sink, []projection.Replica{
		{Name: "near", Sink: sink, Probe: lags(250*time.Millisecond, nil)},
		{Name: "old", Sink: sink, Probe: lags(-1, nil)},
		{Name: "stray", Sink: sink, Probe: lags(0, errors.New("no copy of the primary"))},
		{Name: "gone", Sink: gone{sink}, Probe: func(context.Context) (time.Duration, error) {
			if probes.Add(1) > 1 { // the look that failed has it probed again
				return 0, errors.New("gone")
			}
			return 0, nil
		}},
	}, projection.ReplicasOptions{Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(replicas.Close)
	observed, err := told.ObserveReplicas("accounts", replicas)
	require.NoError(t, err)

	reader := projection.NewReader[Balance](replicas, balances)
	const questions = 6
	for range questions {
		_, err := reader.GetMany(t.Context(), "ada")
		require.NoError(t, err)
	}
	of := func(name string) string { return "leftfold.replica=" + name + ",leftfold.sink=accounts" }
	all := told.metrics(t)
	assert.Equal(t, map[string]int64{of("primary"): 1, of("near"): 1, of("old"): 1, of("stray"): 0, of("gone"): 0},
		gauge[int64](t, all["leftfold.replica.in_order"]))
	assert.Equal(t, map[string]float64{of("near"): 0.25}, gauge[float64](t, all["leftfold.replica.lag"]), "of the others nobody knows")
	assert.Equal(t, map[string]int64{of("primary"): 0, of("near"): questions, of("old"): 0, of("stray"): 0, of("gone"): 1},
		sums(t, all["leftfold.replica.looks"]))
	assert.Equal(t, map[string]int64{of("primary"): 0, of("near"): 0, of("old"): 0, of("stray"): 0, of("gone"): 1},
		sums(t, all["leftfold.replica.failures"]))

	require.NoError(t, observed.Unregister())
	assert.NotContains(t, told.metrics(t), "leftfold.replica.looks")
}

// sums returns the values of a counter, by its attributes in words.
func sums(t testing.TB, m metricdata.Metrics) map[string]int64 {
	t.Helper()
	data, ok := m.Data.(metricdata.Sum[int64])
	require.True(t, ok, "%s is a %T", m.Name, m.Data)
	all := map[string]int64{}
	for _, point := range data.DataPoints {
		all[words(point.Attributes)] = point.Value
	}
	return all
}
