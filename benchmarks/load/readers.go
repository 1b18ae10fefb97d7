package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
)

// Streams loads seeded streams of one shape, drawn at random, for the length of the window.
func Streams(ctx context.Context, store system.StreamLoader, shape Shape, readers int, window time.Duration) (*stats.Sample, error) {
	samples := make([]*stats.Sample, readers)
	failures := make([]error, readers)
	start := time.Now()
	var all sync.WaitGroup
	for n := range readers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			samples[n], failures[n] = repeat(start, window, func() (int, error) {
				return loadOne(ctx, store, shape, random.IntN(shape.Streams))
			})
		})
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return stats.Merge(samples...), nil
}

func loadOne(ctx context.Context, store system.StreamLoader, shape Shape, n int) (int, error) {
	read, err := store.LoadStream(ctx, shape.stream(n))
	if err == nil && read != shape.Length {
		err = fmt.Errorf("a stream of %d events has %d", shape.Length, read)
	}
	return read, err
}

// Replay reads the whole log with one reader, as often as it fits into the window.
func Replay(events int, window time.Duration, read func() (int, error)) (*stats.Sample, error) {
	return repeat(time.Now(), window, func() (int, error) {
		n, err := read()
		if err == nil && n != events {
			err = fmt.Errorf("a log of %d events has %d", events, n)
		}
		return n, err
	})
}

// repeat measures a read that returns the number of its events: once, and again until
// the window has passed.
func repeat(start time.Time, window time.Duration, read func() (events int, err error)) (*stats.Sample, error) {
	sample := &stats.Sample{}
	for sample.Ops == 0 || time.Since(start) < window {
		begun := time.Now()
		events, err := read()
		if err != nil {
			return nil, err
		}
		ended := time.Now()
		sample.Latency.Record(ended.Sub(begun))
		sample.Ops++
		sample.Events += int64(events)
		sample.Elapsed = ended.Sub(start)
	}
	return sample, nil
}
