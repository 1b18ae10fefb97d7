package postgres_test

import (
	"cmp"
	"context"
	"fmt"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// watched is a sink that notes which segment has come where, and when.
type watched struct {
	*postgres.Sink
	last eventstore.Position // when all keys are there, it is done
	done chan struct{}

	mu     sync.Mutex
	seen   map[subscription.Segment][]sighting // in the order of time
	slices int                                 // at the last position
}

// sighting is a position, and when something happened to it.
type sighting struct {
	position eventstore.Position
	at       time.Time
}

func watch(sink *postgres.Sink, last eventstore.Position) *watched {
	return &watched{Sink: sink, last: last, done: make(chan struct{}), seen: map[subscription.Segment][]sighting{}}
}

func (w *watched) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	err := w.Sink.Commit(ctx, model, move, changes)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[move.To.Segment] = append(w.seen[move.To.Segment], sighting{move.To.Position(), time.Now()})
	if move.To.Position() == w.last {
		if w.slices += move.To.Segment.Width(); w.slices == eventstore.Slices {
			close(w.done)
		}
	}
	return nil
}

// restart begins anew, with another last position.
func (w *watched) restart(last eventstore.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.done, w.slices = last, make(chan struct{}), 0
	clear(w.seen)
}

// latencies returns how long after each append the last of the segments had applied it, sorted.
func (w *watched) latencies(acked []sighting) []time.Duration {
	slices.SortFunc(acked, func(a, b sighting) int { return cmp.Compare(a.position, b.position) })
	took := make([]time.Duration, len(acked))
	for _, seen := range w.seen {
		for n, a := range acked {
			for seen[0].position < a.position {
				seen = seen[1:]
			}
			took[n] = max(took[n], seen[0].at.Sub(a.at))
		}
	}
	slices.Sort(took)
	return took
}

var followed *projection.View[customer] // by the last call of follow

// follow runs a worker until the returned function is called.
func follow(b *testing.B, store *postgres.Store, sink projection.Sink, segments, window int) (stop func()) {
	followed = customers(benchName(), 1)
	w := projection.Worker{
		Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(sink, followed)},
		Segments: segments, Window: window,
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(b, <-done)
	}
}

// BenchmarkSegments builds what [BenchmarkView] does by a worker with several segments, which share
// what is read and decoded and commit side by side.
func BenchmarkSegments(b *testing.B) {
	for _, keys := range []string{"uniform", "zipf"} {
		b.Run(keys, func(b *testing.B) {
			pool := newPool(b)
			store := openOn(b, pool, postgres.Options{})
			fillSales(b, store, keys, benchEvents)
			for _, statement := range []string{"VACUUM (ANALYZE, FREEZE) leftfold.events", "CHECKPOINT"} {
				_, err := pool.Exec(b.Context(), statement)
				require.NoError(b, err)
			}
			for _, segments := range []int{1, 2, 4} {
				for _, window := range []int{5000, 10000} {
					b.Run(fmt.Sprintf("segments %d/window %d", segments, window), func(b *testing.B) {
						for b.Loop() {
							sink := watch(store.Sink(), benchEvents)
							stop := follow(b, store, sink, segments, window)
							<-sink.done
							b.StopTimer()
							stop()
							b.StartTimer()
						}
						b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
					})
				}
			}
		})
	}
}

// BenchmarkBacklog applies a million events, and tells how much memory was in use at most after a
// collection of garbage: see that it does not grow with the backlog.
func BenchmarkBacklog(b *testing.B) {
	pool := newPool(b)
	store := openOn(b, pool, postgres.Options{})
	for _, more := range []int{1, 4} { // times 200,000
		for range more {
			fillSales(b, store, "zipf", benchEvents)
		}
		head, err := store.Head(b.Context())
		require.NoError(b, err)
		_, err = pool.Exec(b.Context(), "VACUUM (ANALYZE, FREEZE) leftfold.events")
		require.NoError(b, err)
		b.Run(fmt.Sprintf("%d events", head.Position), func(b *testing.B) {
			var most uint64
			for b.Loop() {
				sink := watch(store.Sink(), head.Position)
				stop := follow(b, store, sink, 2, 0)
				live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
				for running := true; running; {
					select {
					case <-sink.done:
						running = false
					case <-time.After(20 * time.Millisecond):
						metrics.Read(live)
						most = max(most, live[0].Value.Uint64())
					}
				}
				b.StopTimer()
				stop()
				b.StartTimer()
			}
			b.ReportMetric(float64(head.Position)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(most>>10)/1024, "live-heap-MB")
		})
	}
}

// BenchmarkLatency is the time from an append's return until every segment has applied it. Idle is
// one append after the other, with a pause between them; else they come at a rate, as far as the
// machine can keep it up: see the events/s.
func BenchmarkLatency(b *testing.B) {
	for _, segments := range []int{1, 4} {
		for _, load := range []struct{ rate, events int }{{0, 1}, {5_000, 1}, {10_000, 1}, {20_000, 1}, {50_000, 1}, {200, 50}, {400, 50}, {1000, 50}} {
			name := fmt.Sprintf("%d appends per s of %d", load.rate, load.events)
			if load.rate == 0 {
				name = "idle"
			}
			b.Run(fmt.Sprintf("segments %d/%s", segments, name), func(b *testing.B) {
				store := openOn(b, newPool(b), postgres.Options{})
				sink := watch(store.Sink(), appendSales(b, store, 0, 1))
				stop := follow(b, store, sink, segments, 0)
				defer stop()
				<-sink.done
				for {
					status, err := projection.StatusOf(b.Context(), store, sink, followed.Generation())
					require.NoError(b, err)
					if len(status.Segments) == segments {
						break
					}
				}
				sink.restart(eventstore.Position(b.N*load.events + 1))
				b.ResetTimer()
				acked := appendAt(b, store, load.rate, b.N, load.events)
				b.StopTimer()
				<-sink.done
				took := sink.latencies(acked)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(b.N*load.events)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func appendSales(b *testing.B, store eventstore.Appender, n, events int) eventstore.Position {
	write := eventstore.Write{Stream: eventstore.NewStreamID("sale", fmt.Sprint(n%10_000))}
	for e := range events {
		write.Events = append(write.Events, eventstore.EventData{
			Type: "item.sold", Data: fmt.Appendf(nil, `{"Customer":"customer-%d","Item":"85123A","Country":"United Kingdom","Pence":255}`, (n*events+e)%benchKeys),
		})
	}
	receipt, err := store.Append(b.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
	if err != nil {
		b.Error(err)
	}
	return receipt.Token.Position
}

// appendAt appends n times at a rate, whether or not the ones before have been answered; one
// after the other with a rate of 0. It returns when each was answered.
func appendAt(b *testing.B, store eventstore.Appender, rate, n, events int) []sighting {
	acked := make([]sighting, n)
	if rate == 0 {
		for i := range acked {
			acked[i] = sighting{appendSales(b, store, i, events), time.Now()}
			time.Sleep(3 * time.Millisecond)
		}
		return acked
	}
	const writers = 512
	var next atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range writers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				acked[i] = sighting{appendSales(b, store, int(i), events), time.Now()}
			}
		})
	}
	all.Wait()
	return acked
}
