package eventstoretest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/leftfold/leftfold/eventstore"
)

// Benchmark measures the store that open returns. The events carry 256 bytes; appends
// report events/s, reads are over a log of 10,000 events.
func Benchmark(b *testing.B, open func(t testing.TB) eventstore.Store) {
	b.Run("append", func(b *testing.B) {
		b.Run("1 event", func(b *testing.B) { benchmarkAppend(b, open(b), 1, plain) })
		b.Run("10 events", func(b *testing.B) { benchmarkAppend(b, open(b), 10, plain) })
		b.Run("1 event under a command id", func(b *testing.B) { benchmarkAppend(b, open(b), 1, underCommand) })
		b.Run("1 event on a condition", func(b *testing.B) { benchmarkAppend(b, open(b), 1, onCondition) })
		b.Run("1 event, 16 clients", func(b *testing.B) { benchmarkClients(b, open(b), 16) })
	})
	b.Run("read", func(b *testing.B) {
		store := filled(b, open(b))
		b.Run("stream of 100", func(b *testing.B) { benchmarkReadStream(b, store) })
		b.Run("window of 1000", func(b *testing.B) { benchmarkReadLog(b, store, eventstore.LogQuery{After: 4000, Through: 5000}, 1000) })
		b.Run("100 by tag", func(b *testing.B) {
			benchmarkReadLog(b, store, eventstore.LogQuery{Query: eventstore.Tagged("order:7")}, 100)
		})
		b.Run("nothing by a rare type", func(b *testing.B) {
			benchmarkReadLog(b, store, eventstore.LogQuery{After: 9000, Query: eventstore.Types("rare")}, 0)
		})
		b.Run("known command", func(b *testing.B) { benchmarkLookup(b, store) })
	})
}

// shape turns the n-th request of a benchmark into the kind it measures.
type shape func(n int, request eventstore.AppendRequest) eventstore.AppendRequest

func plain(_ int, request eventstore.AppendRequest) eventstore.AppendRequest { return request }

func underCommand(n int, request eventstore.AppendRequest) eventstore.AppendRequest {
	return named(request, fmt.Sprint(n), "payload")
}

func onCondition(n int, request eventstore.AppendRequest) eventstore.AppendRequest {
	tag := eventstore.NewTag("seat", fmt.Sprint(n))
	request.Writes[0].Events[0].Tags = []eventstore.Tag{tag}
	return unless(request, eventstore.Tagged(tag), 0)
}

// load returns an append of n events to one of 1,000 streams.
func load(stream, events int) eventstore.AppendRequest {
	id := eventstore.NewStreamID("order", fmt.Sprint(stream%1000))
	request := to(id, make([]eventstore.EventData, events)...)
	for n := range request.Writes[0].Events {
		request.Writes[0].Events[n] = eventstore.EventData{Type: "order.placed", Data: make([]byte, 256)}
	}
	return request
}

func benchmarkAppend(b *testing.B, store eventstore.Store, events int, as shape) {
	n := 0
	for b.Loop() {
		if _, err := store.Append(b.Context(), as(n, load(n, events))); err != nil {
			b.Fatal(err)
		}
		n++
	}
	reportRate(b, n*events)
}

func benchmarkClients(b *testing.B, store eventstore.Store, clients int) {
	var appended atomic.Int64
	b.SetParallelism(clients)
	b.RunParallel(func(client *testing.PB) {
		for client.Next() {
			if _, err := store.Append(b.Context(), load(int(appended.Add(1)), 1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	reportRate(b, int(appended.Load()))
}

// filled appends 10,000 events, a hundred to each of a hundred streams, interleaved.
func filled(b *testing.B, store eventstore.Store) eventstore.Store {
	for n := range 100 {
		request := eventstore.AppendRequest{Command: command(fmt.Sprint(n), "")}
		for stream := range 100 {
			write := load(stream, 1).Writes[0]
			write.Events[0].Tags = []eventstore.Tag{eventstore.NewTag("order", fmt.Sprint(stream))}
			request.Writes = append(request.Writes, write)
		}
		if _, err := store.Append(b.Context(), request); err != nil {
			b.Fatal(err)
		}
	}
	return store
}

func benchmarkReadStream(b *testing.B, store eventstore.Store) {
	n := 0
	for b.Loop() {
		events, err := collect(store.ReadStream(b.Context(), "order-7", eventstore.StreamRange{}))
		if err != nil || len(events) != 100 {
			b.Fatalf("%d events, error %v", len(events), err)
		}
		n += len(events)
	}
	reportRate(b, n)
}

func benchmarkReadLog(b *testing.B, store eventstore.Store, query eventstore.LogQuery, want int) {
	n := 0
	for b.Loop() {
		read, err := store.ReadLog(b.Context(), query)
		if err != nil {
			b.Fatal(err)
		}
		events, err := collect(read.Events())
		if err != nil || len(events) != want {
			b.Fatalf("%d events, error %v", len(events), err)
		}
		n += len(events)
	}
	reportRate(b, n)
}

func benchmarkLookup(b *testing.B, store eventstore.Store) {
	for b.Loop() {
		if _, found, err := store.LookupCommand(b.Context(), command("7", "")); !found || err != nil {
			b.Fatalf("found %v, error %v", found, err)
		}
	}
}

func reportRate(b *testing.B, events int) {
	if events > 0 {
		b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	}
}
