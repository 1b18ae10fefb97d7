package stats

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAQuantileIsAtMostTwoPercentTooHigh(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	exact := make([]time.Duration, 100_000)
	for i := range exact {
		exact[i] = time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		h.Record(exact[i])
	}
	slices.Sort(exact)
	for _, q := range []float64{0.01, 0.5, 0.99, 0.999, 1} {
		want := exact[int(q*float64(len(exact)))-1]
		got := h.Quantile(q)
		assert.GreaterOrEqual(t, got, want, q)
		assert.Less(t, float64(got), 1.02*float64(want), q)
	}
}

func TestEveryLatencyHasABucketThatEndsAtOrAboveIt(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1, 63, 64, 65, 127, 128, 1 << 20, 1<<62 + 1, 1<<63 - 1} {
		var h Histogram
		h.Record(d)
		assert.GreaterOrEqual(t, h.Quantile(0.5), max(d, 0), d)
	}
}

func TestAnEmptyHistogramHasNoQuantile(t *testing.T) {
	assert.Zero(t, new(Histogram).Quantile(0.99))
}

func TestHistogramsOfProcessesAddUp(t *testing.T) {
	slow, fast := &Sample{Ops: 1, Events: 10, Elapsed: 2 * time.Second}, &Sample{Ops: 3, Events: 30, Elapsed: time.Second}
	slow.Latency.Record(time.Second)
	for range 3 {
		fast.Latency.Record(time.Millisecond)
	}
	text, err := json.Marshal(slow)
	require.NoError(t, err)
	var copied Sample
	require.NoError(t, json.Unmarshal(text, &copied))
	assert.Equal(t, *slow, copied, "a sample survives the way from a child process")

	sum := Merge(&copied, fast)
	assert.EqualValues(t, 4, sum.Latency.Count())
	assert.InEpsilon(t, 2, sum.OpsPerSecond(), 1e-9)
	assert.InEpsilon(t, 20, sum.EventsPerSecond(), 1e-9)
	assert.Less(t, sum.Latency.Quantile(0.5), 2*time.Millisecond)
	assert.GreaterOrEqual(t, sum.Latency.Quantile(0.99), time.Second)
}

func TestSpread(t *testing.T) {
	assert.Equal(t, Spread{}, SpreadOf())
	assert.Equal(t, Spread{2, 2, 2}, SpreadOf(2))
	assert.Equal(t, Spread{2, 1, 9}, SpreadOf(9, 1, 2))
	assert.Equal(t, Spread{2.5, 1, 9}, SpreadOf(9, 1, 2, 3))
	assert.Zero(t, new(Sample).OpsPerSecond())
}
