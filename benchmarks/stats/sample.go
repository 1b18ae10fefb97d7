package stats

import (
	"slices"
	"time"
)

// Sample is one measurement of one system.
type Sample struct {
	Ops     int64         // appends, loads, replays or probes that completed
	Events  int64         // events that those wrote or read
	Elapsed time.Duration // from the start to the last completion
	Latency Histogram     // of each operation
}

// OpsPerSecond returns the rate of operations, 0 if no time passed.
func (s *Sample) OpsPerSecond() float64 { return perSecond(s.Ops, s.Elapsed) }

// EventsPerSecond returns the rate of events, 0 if no time passed.
func (s *Sample) EventsPerSecond() float64 { return perSecond(s.Events, s.Elapsed) }

func perSecond(n int64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return float64(n) / elapsed.Seconds()
}

// Merge returns the sum of samples that were taken side by side, such as one a process:
// the time is that of the longest.
func Merge(samples ...*Sample) *Sample {
	sum := &Sample{}
	for _, s := range samples {
		sum.Ops += s.Ops
		sum.Events += s.Events
		sum.Elapsed = max(sum.Elapsed, s.Elapsed)
		sum.Latency.Add(&s.Latency)
	}
	return sum
}

// Spread is the middle and the ends of several values.
type Spread struct{ Median, Min, Max float64 }

// SpreadOf returns the spread of the values, zero if there are none. The median of an
// even number is the mean of the middle two.
func SpreadOf(values ...float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}
