// Package stats holds what a measurement leaves behind: a count, a time and a histogram
// of latencies, and the medians over several of them.
package stats

import (
	"encoding/json"
	"math/bits"
	"time"
)

// subBits is the resolution: each power of two has 2^subBits buckets, so a quantile is
// at most 1.6 % above the true one.
const subBits = 6

// Histogram counts latencies in buckets whose width grows with the latency. It costs the
// same whether it holds ten or ten million, and histograms of several writers or
// processes add up. The zero value is empty. Not safe for concurrent use.
type Histogram struct {
	counts [64 << subBits]uint64
	total  uint64
}

// Record adds one latency. A negative one, of a clock that was set back, counts as 0.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

// Add adds what the other has counted.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Count returns how many latencies were recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Quantile returns the upper edge of the bucket in which the q-th part of all latencies
// ends: 0.5 gives the median. It is 0 if nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(uint64(q*float64(h.total)+0.5), 1)
	seen := uint64(0)
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return time.Duration(upperEdge(i))
		}
	}
	return 0
}

// bucket and upperEdge are exact below 2^subBits. Above, a bucket holds the values that
// agree in their highest subBits+1 bits.
func bucket(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)<<subBits + int(v>>shift) - 1<<subBits
}

func upperEdge(i int) uint64 {
	if i < 1<<subBits {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return (uint64(i&(1<<subBits-1)|1<<subBits)+1)<<shift - 1
}

// MarshalJSON writes the buckets that are not empty, for the way from a child process.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	sparse := map[int]uint64{}
	for i, n := range h.counts {
		if n > 0 {
			sparse[i] = n
		}
	}
	return json.Marshal(sparse)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var sparse map[int]uint64
	if err := json.Unmarshal(text, &sparse); err != nil {
		return err
	}
	*h = Histogram{}
	for i, n := range sparse {
		h.counts[i] = n
		h.total += n
	}
	return nil
}
