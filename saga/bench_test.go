package saga_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// brief is a saga of one command, which is handled at once.
var brief = saga.Define("brief", saga.Definition[transfer]{
	Events: []*codec.Set{transferOrders.Events()},
	On:     []saga.Rule[transfer]{saga.Begin[transfer](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil)},
	Steps:  []saga.Step[transfer]{{Name: "one", Do: saga.Send("one", func(transfer) struct{} { return struct{}{} })}},
})

// BenchmarkInstances starts instances and waits until they have ended: one after the other, or 64
// at a time, of a saga of one command, and of transfers between accounts of their own, which are two
// commands on the same store.
func BenchmarkInstances(b *testing.B) {
	for _, kind := range []saga.Saga{brief, transfers} {
		for _, concurrent := range []int{1, 64} {
			for _, on := range []func(testing.TB) place{benchSQLite, benchPostgres} {
				at := on(b)
				b.Run(fmt.Sprintf("%s/%s/%d at a time", kind.Name(), at.name, concurrent), func(b *testing.B) {
					benchInstances(b, at, kind, concurrent)
				})
			}
		}
	}
}

func benchSQLite(t testing.TB) place {
	store := openSQLite(t, filepath.Join(t.TempDir(), "sagas.db"))
	return place{"sqlite", store, store.Sink()}
}

func benchPostgres(t testing.TB) place {
	store := postgrestest.Open(t)
	return place{"postgres", store, store.Sink()}
}

func benchInstances(b *testing.B, at place, kind saga.Saga, concurrent int) {
	bank := saga.ToBus(newBank(at.store))
	w := saga.Worker{Store: at.store, Sink: at.sink, Sagas: []saga.Saga{kind}, Dispatcher: saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
		if c.Name == "one" {
			return nil
		}
		return bank.Dispatch(ctx, c)
	})}
	defer runs(b, w)()
	ended := watchEnds(b, at.store, kind.Name())
	requests := aggregate.NewRepository(at.store, transferOrders)
	round := eventstore.NewEventID().String() // a benchmark runs several times on one store
	one := func(n int) {
		id := fmt.Sprintf("%s-%d", round, n)
		done := ended.of(id)
		r := requested{id, "from" + id, "to" + id, 1}
		_, err := requests.Execute(b.Context(), id, func(orders) ([]orderEvent, error) { return []orderEvent{r}, nil })
		require.NoError(b, err)
		<-done
	}
	one(-1) // the worker has its segments
	for n := range b.N {
		at.deposits(b, fmt.Sprintf("from%s-%d", round, n), 1)
	}
	b.ResetTimer()
	var all sync.WaitGroup
	free := make(chan struct{}, concurrent)
	for n := range b.N {
		free <- struct{}{}
		all.Go(func() { defer func() { <-free }(); one(n) })
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "instances/s")
}

// ends tells who has ended. It reads what is new of the log.
type ends struct {
	mu      sync.Mutex
	waiting map[eventstore.StreamID]chan struct{}
	saga    string
}

func watchEnds(b *testing.B, log eventstore.LogReader, name string) *ends {
	e := &ends{waiting: map[eventstore.StreamID]chan struct{}{}, saga: name}
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	head, err := log.Head(ctx)
	require.NoError(b, err)
	var all sync.WaitGroup
	all.Go(func() {
		for after := head.Position; ctx.Err() == nil; time.Sleep(time.Millisecond) {
			read, err := log.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Types("saga.ended"), After: after})
			if err != nil {
				continue
			}
			for m, err := range read.Events() {
				if err != nil {
					break
				}
				e.end(m.Stream)
			}
			after = read.Through.Position
		}
	})
	b.Cleanup(func() { stop(); all.Wait() })
	return e
}

func (e *ends) of(id string) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	done := make(chan struct{})
	e.waiting[eventstore.NewStreamID(e.saga, id)] = done
	return done
}

func (e *ends) end(stream eventstore.StreamID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if done, ok := e.waiting[stream]; ok {
		close(done)
		delete(e.waiting, stream)
	}
}

// BenchmarkTimers has timers pending, 100,000 with LEFTFOLD_TORTURE=1 and else 10,000. All of them, or
// a tenth, are due spread over a minute, or six seconds. It reports how late they fire: from the
// time that each is due until the store has recorded that it fired. If fewer fire per second than
// are due, the lag is that of a queue.
func BenchmarkTimers(b *testing.B) {
	pending := 10_000 * eventstoretest.Scale
	window := 6 * time.Second * time.Duration(eventstoretest.Scale)
	for _, part := range []int{1, 10} {
		b.Run(fmt.Sprintf("1 of %d of %d due within %s", part, pending, window), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				at := benchPostgres(b)
				first := pends(b, at, pending, part, window)
				b.StartTimer()
				benchFiring(b, at, first, window)
			}
		})
	}
}

// pends has so many instances wait. One timer of so many is due within the window, the others half an
// hour later. It returns when the window begins.
func pends(t testing.TB, at place, n, one int, window time.Duration) time.Time {
	t.Helper()
	start := time.Now()
	w := saga.Worker{
		Store: at.store, Sink: at.sink, Sagas: []saga.Saga{patient}, Dispatcher: saga.ToBus(newBank(at.store)), Segments: 2,
		Now: func() time.Time { // an hour after which a timer is due
			if rand.N(one) > 0 {
				return start.Add(30 * time.Minute)
			}
			return start.Add(rand.N(window))
		},
	}
	const together = 500
	for from := 0; from < n; from += together {
		var r eventstore.AppendRequest
		for id := range min(together, n-from) {
			event, err := transferOrders.Events().Encode(requested{ID: fmt.Sprintf("t%06d", from+id)})
			require.NoError(t, err)
			r.Writes = append(r.Writes, eventstore.Write{Stream: transferOrders.Stream(fmt.Sprintf("t%06d", from+id)), Events: []eventstore.EventData{event}})
		}
		_, err := at.store.Append(t.Context(), r)
		require.NoError(t, err)
	}
	stop := runs(t, w)
	for countOf(t, at.store, "saga.timer.set") < n {
		time.Sleep(100 * time.Millisecond)
	}
	awaitTimers(t, at)
	stop()
	return start.Add(time.Hour)
}

// awaitTimers waits until the view has taken in the whole log.
func awaitTimers(t testing.TB, at place) {
	t.Helper()
	head, err := at.store.Head(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		is, err := at.sink.Checkpoint(t.Context(), projection.Generation{Name: "patient_timers", Version: 1}, head.Store)
		return err == nil && is.Position() >= head.Position
	}, 5*time.Minute, 10*time.Millisecond)
}

func countOf(t testing.TB, log eventstore.LogReader, kind string) (n int) {
	t.Helper()
	read, err := log.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types(kind)})
	require.NoError(t, err)
	for _, err := range read.Events() {
		require.NoError(t, err)
		n++
	}
	return n
}

// benchFiring has a worker fire what is due within the window, which begins now.
func benchFiring(b *testing.B, at place, first time.Time, window time.Duration) {
	pending := duesOf(b, at.store, first.Add(window))
	start := time.Now()
	behind := first.Sub(start)
	w := saga.Worker{
		Store: at.store, Sink: at.sink, Sagas: []saga.Saga{patient}, Dispatcher: saga.ToBus(newBank(at.store)), Segments: 2,
		Now: func() time.Time { return time.Now().Add(behind) },
	}
	var lags []time.Duration
	after, err := at.store.Head(b.Context())
	require.NoError(b, err)
	stop := runs(b, w)
	for from := after.Position; len(lags) < len(pending); time.Sleep(10 * time.Millisecond) {
		read, err := at.store.ReadLog(b.Context(), eventstore.LogQuery{Query: eventstore.Types("saga.timer.fired"), After: from})
		require.NoError(b, err)
		for m, err := range read.Events() {
			require.NoError(b, err)
			lags = append(lags, m.RecordedAt.Add(behind).Sub(pending[timerOf(b, m).ID]))
		}
		from = read.Through.Position
	}
	took := time.Since(start)
	b.StopTimer()
	stop()
	slices.Sort(lags)
	b.ReportMetric(float64(len(lags))/window.Seconds(), "due/s")
	b.ReportMetric(float64(len(lags))/took.Seconds(), "fired/s")
	for name, n := range map[string]int{"p50-ms": len(lags) / 2, "p99-ms": len(lags) * 99 / 100, "max-ms": len(lags) - 1} {
		b.ReportMetric(float64(lags[n].Microseconds())/1000, name)
	}
	b.StartTimer()
}

type timerRecord struct {
	ID  string
	Due time.Time
}

func timerOf(t testing.TB, m eventstore.Recorded) (timer timerRecord) {
	t.Helper()
	require.NoError(t, json.Unmarshal(m.Data, &timer))
	return timer
}

// duesOf returns the timers that are due before a time.
func duesOf(t testing.TB, log eventstore.LogReader, before time.Time) map[string]time.Time {
	t.Helper()
	read, err := log.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types("saga.timer.set")})
	require.NoError(t, err)
	due := map[string]time.Time{}
	for m, err := range read.Events() {
		require.NoError(t, err)
		if timer := timerOf(t, m); timer.Due.Before(before) {
			due[timer.ID] = timer.Due
		}
	}
	return due
}
