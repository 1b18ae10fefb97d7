package sqlite_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ writers, events int }{{1, 1}, {64, 1}, {1, 1000}} {
		b.Run(fmt.Sprintf("%d writers of %d events", c.writers, c.events), func(b *testing.B) {
			benchmarkWriters(b, c.writers, c.events)
		})
	}
}

// benchmarkWriters lets each writer append so many events at a time to a stream of its own.
func benchmarkWriters(b *testing.B, writers, events int) {
	store := openStore(b, newPath(b))
	work := make(chan struct{}, writers)
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		all.Go(func() {
			stream := eventstore.NewStreamID("order", fmt.Sprint(w))
			for range work {
				if _, err := store.Append(b.Context(), appendTo(stream, events)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	all.Wait()
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkLoadStream(b *testing.B) {
	for _, events := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			store := openStore(b, newPath(b))
			_, err := store.Append(b.Context(), appendTo("order-1", events))
			require.NoError(b, err)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for _, err := range store.ReadStream(b.Context(), "order-1", eventstore.StreamRange{}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	store := openStore(b, newPath(b))
	const events = 100_000
	for n := range events / 1000 {
		_, err := store.Append(b.Context(), appendTo(eventstore.NewStreamID("order", fmt.Sprint(n)), 1000))
		require.NoError(b, err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		read, err := store.ReadLog(b.Context(), eventstore.LogQuery{})
		require.NoError(b, err)
		for _, err := range read.Events() {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// appendTo returns an append of so many events of 256 bytes.
func appendTo(stream eventstore.StreamID, events int) eventstore.AppendRequest {
	w := eventstore.Write{Stream: stream, Events: make([]eventstore.EventData, events)}
	for n := range w.Events {
		w.Events[n] = eventstore.EventData{Type: "order.placed", Data: make([]byte, 256)}
	}
	return eventstore.AppendRequest{Writes: []eventstore.Write{w}}
}
