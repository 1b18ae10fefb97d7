package discovery_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/discovery"
)

// spread counts how often each is chosen while nothing is under way, over all draws.
func spread(weights ...uint16) []float64 {
	const steps = 100
	counts := make([]float64, len(weights))
	for i := range steps {
		for j := range steps {
			draws := []float64{(float64(i) + .5) / steps, (float64(j) + .5) / steps}
			chosen := discovery.Choose(weights, make([]int, len(weights)), func() (d float64) {
				d, draws = draws[0], draws[1:]
				return d
			})
			counts[chosen] += 1. / (steps * steps)
		}
	}
	return counts
}

func TestWithoutLoadWeightsDecide(t *testing.T) {
	t.Parallel()
	assert.InDeltaSlice(t, []float64{.25, .25, .25, .25}, spread(0, 0, 0, 0), .011)
	assert.InDeltaSlice(t, []float64{.75, .25}, spread(3, 1), .011)
	assert.InDeltaSlice(t, []float64{.6, .3, .1}, spread(60, 30, 10), .011)
	assert.InDeltaSlice(t, []float64{1, 0}, spread(10, 0), .011)
	assert.InDeltaSlice(t, []float64{1}, spread(7), .001)
}

// Of two that are drawn the one with less under way for its weight is taken, whatever else.
func TestTheBusierOfTwoIsNeverTaken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "endpoints")
		weights := rapid.SliceOfN(rapid.Uint16Range(1, 100), n, n).Draw(t, "weights")
		inFlight := rapid.SliceOfN(rapid.IntRange(0, 50), n, n).Draw(t, "under way")
		load := func(i int) float64 { return float64(inFlight[i]) / float64(weights[i]) }
		worst, alone := 0, true
		for i := range n {
			if load(i) > load(worst) {
				worst = i
			}
		}
		for i := range n {
			alone = alone && (i == worst || load(i) < load(worst))
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 20 {
			if chosen := discovery.Choose(weights, inFlight, random.Float64); alone && chosen == worst {
				t.Fatalf("%d of %v with %v under way", chosen, weights, inFlight)
			}
		}
	})
}

// Requests that wait for their answers keep others away.
func TestWhatIsUnderWayIsSpread(t *testing.T) {
	t.Parallel()
	began, answer := make(chan struct{}), make(chan struct{})
	three := make([]*instance, 3)
	for n := range three {
		three[n] = serve(t, waits(began, answer))
	}
	transport := newTransport(t, resolves(three[0].endpoint(), three[1].endpoint(), three[2].endpoint()), discovery.TransportOptions{})
	var calling sync.WaitGroup
	for range 30 {
		calling.Go(func() { get(transport, "http://orders/") })
		<-began
	}
	total := 0
	for _, e := range transport.Status()[0].Endpoints {
		assert.InDelta(t, 10, e.InFlight, 4)
		total += e.InFlight
	}
	assert.Equal(t, 30, total)
	close(answer)
	calling.Wait()
	for _, e := range transport.Status()[0].Endpoints {
		assert.Zero(t, e.InFlight)
	}
}
