package aggregatetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// benchmarkedEvents is the length of the stream that BenchmarkExecute appends to.
const benchmarkedEvents = 10_000

type counted struct{ By int64 }

type counter struct{ Total int64 }

var counters = aggregate.Define("counter",
	func(e counted, c *counter) { c.Total += e.By },
	codec.Event[counted]("counter.counted")).FoldVersion(1)

// BenchmarkExecute executes decisions on a stream of 10,000 events: with nothing kept, with
// snapshots, and with the cache, all with their default options. It reports the median, too: now
// and then a load with snapshots folds from the beginning.
func BenchmarkExecute(b *testing.B, open func(t testing.TB) (aggregate.Store, aggregate.SnapshotStore)) {
	for _, kind := range []string{"nothing kept", "snapshots", "cache"} {
		b.Run(kind, func(b *testing.B) {
			store, kept := open(b)
			seed(b, store)
			repository := aggregate.NewRepository(store, counters)
			switch kind {
			case "snapshots":
				snapshots := aggregate.NewSnapshots(kept, aggregate.SnapshotOptions{})
				ctx, stop := context.WithCancel(b.Context())
				var background sync.WaitGroup
				background.Go(func() { _ = snapshots.Run(ctx) }) // nil
				defer background.Wait()
				defer stop()
				repository = repository.WithSnapshots(snapshots)
				awaitSnapshot(b, repository, store, kept)
			case "cache":
				repository = repository.WithCache(aggregate.CacheOptions{})
				execute(b, repository)
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				execute(b, repository)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "median-ns/op")
		})
	}
}

func execute(b *testing.B, repository *aggregate.Repository[counter, counted]) {
	if _, err := repository.Execute(b.Context(), "1", func(counter) ([]counted, error) { return []counted{{1}}, nil }); err != nil {
		b.Fatal(err)
	}
}

func seed(b *testing.B, store aggregate.Store) {
	data, err := counters.Events().Encode(counted{1})
	if err != nil {
		b.Fatal(err)
	}
	write := eventstore.Write{Stream: counters.Stream("1"), Events: slices.Repeat([]eventstore.EventData{data}, benchmarkedEvents)}
	if _, err := store.Append(b.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}}); err != nil {
		b.Fatal(err)
	}
}

// awaitSnapshot waits until the first snapshot has been taken.
func awaitSnapshot(b *testing.B, repository *aggregate.Repository[counter, counted], store aggregate.Store, kept aggregate.SnapshotStore) {
	head, err := store.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for {
		if _, _, err := repository.Load(b.Context(), "1"); err != nil {
			b.Fatal(err)
		}
		_, found, err := kept.FindSnapshot(b.Context(), aggregate.SnapshotKey{Store: head.Store, Stream: counters.Stream("1"), Shape: counters.Shape()})
		if err != nil {
			b.Fatal(err)
		}
		if found {
			return
		}
	}
}
