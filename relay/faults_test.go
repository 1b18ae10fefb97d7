package relay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

// gate stops those who come to it while it is shut, as a process that is paused.
type gate struct {
	mu   sync.Mutex
	open chan struct{}
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) shut() { g.mu.Lock(); g.open = make(chan struct{}); g.mu.Unlock() }

func (g *gate) reopen() { g.mu.Lock(); close(g.open); g.mu.Unlock() }

func (g *gate) pass() {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
}

// pausedSink is the sink of a process that can be paused.
type pausedSink struct {
	projection.Sink

	gate *gate
}

func (s pausedSink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	s.gate.pass()
	return s.Sink.Commit(ctx, model, move, changes)
}

func (s pausedSink) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return pausedLeases{s.Sink.Leases(of, source), s.gate}
}

type pausedLeases struct {
	subscription.Leases

	gate *gate
}

func (l pausedLeases) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	l.gate.pass()
	return l.Leases.Attend(ctx, worker, ttl, reports)
}

// pausedBus is the publisher of a process that can be paused, in the middle of a request.
type pausedBus struct {
	*relaytest.Bus

	gate *gate
	on   func(all []relay.Message)
}

func (b pausedBus) Publish(_ context.Context, all []relay.Message) ([]error, error) {
	b.on(all)
	b.gate.pass()
	return b.Bus.Publish(context.Background(), all) // what is on its way does not know of our context
}

// A zombie is paused with requests on their way, loses its lease, and goes on when another worker has published
// all of it and more.
func TestAZombiesLateRequestRepeatsAndChangesNothing(t *testing.T) {
	for seed := range 20 {
		synctest.Test(t, func(t *testing.T) {
			const keys, each = 5, 20
			store, sink, bus := filled(t, many(keys, each)...), memory.NewSink(), &relaytest.Bus{Most: relay.Limits{Messages: 3}}
			gate, requests := newGate(), 0
			var mu sync.Mutex
			zombie := relay.Relay{
				Name: "orders", Log: store, Sink: pausedSink{sink, gate}, TTL: time.Second, Window: 30,
				Publisher: pausedBus{bus, gate, func([]relay.Message) {
					mu.Lock()
					defer mu.Unlock()
					if requests++; requests == seed+2 {
						gate.shut()
					}
				}},
			}
			stopZombie := running(t, zombie)
			synctest.Wait() // it stands at the gate
			before := len(bus.Arrivals())
			require.Less(t, before, keys*each)
			successor := zombie
			successor.Sink, successor.Publisher = sink, bus
			stop := running(t, successor)
			time.Sleep(5 * time.Second) // of virtual time: the zombie's lease ends
			atPause := bus.Arrivals()
			require.GreaterOrEqual(t, len(atPause), keys*each)
			gate.reopen()
			time.Sleep(5 * time.Second)
			require.Greater(t, len(bus.Arrivals()), len(atPause), "the zombie's request came late")
			require.LessOrEqual(t, len(bus.Arrivals()), len(atPause)+30, "it publishes no other window")
			require.Positive(t, firstsInOrder(t, bus, keys, each))
			status, err := successor.Status(t.Context())
			require.NoError(t, err)
			require.Zero(t, status.Lag())
			require.Len(t, status.Workers, 2)
			stopZombie()
			stop()
			// What a consumer sees that remembers the last version of each key.
			require.Equal(t, keys*each, seenByVersion(bus))
		})
	}
}

// seenByVersion returns how many messages are not dropped by a consumer that wants the versions of each
// key to rise.
func seenByVersion(bus *relaytest.Bus) (seen int) {
	last := map[string]eventstore.Version{}
	for _, a := range bus.Arrivals() {
		if a.Version > last[a.Key] {
			last[a.Key] = a.Version
			seen++
		}
	}
	return seen
}

func TestWhileTheBusIsAwayTheRelayWaitsAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &relaytest.Bus{Most: relay.Limits{Messages: 10}}
		var away atomic.Bool
		away.Store(true)
		var calls atomic.Int64
		bus.OnRequest = func(context.Context, []relay.Message) error {
			if calls.Add(1); away.Load() {
				return errors.New("no route to the bus")
			}
			return nil
		}
		r := relay.Relay{Name: "orders", Log: filled(t, many(30, 4)...), Sink: memory.NewSink(), Publisher: bus, TTL: 2 * time.Second}
		stop := running(t, r)
		time.Sleep(10 * time.Minute)
		status, err := r.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, subscription.Waiting, status.Segments[0].Report.State)
		require.Contains(t, status.Segments[0].Report.Note, "no route to the bus")
		require.Empty(t, status.Parked, "no key is to blame")
		require.Less(t, calls.Load(), int64(500), "it asks less and less often")
		away.Store(false)
		require.NoError(t, bus.Await(t.Context(), 120))
		time.Sleep(10 * time.Second)
		require.Zero(t, firstsInOrder(t, bus, 30, 4))
		status, err = r.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, subscription.Running, status.Segments[0].Report.State)
		require.Zero(t, status.Lag())
		stop()
	})
}

func TestAMessageThatIsNeverTakenHoldsUpItsWindowButNotTheOtherKeysInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &stubborn{key: "order-1", Bus: &relaytest.Bus{}}
		r := relay.Relay{Name: "orders", Log: filled(t, many(4, 3)...), Sink: memory.NewSink(), Publisher: bus, TTL: 2 * time.Second}
		stop := running(t, r)
		time.Sleep(10 * time.Minute)
		require.Len(t, bus.Arrivals(), 9, "each of the others once")
		status, err := r.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, subscription.Waiting, status.Segments[0].Report.State)
		require.Contains(t, status.Segments[0].Report.Note, `the bus has not taken a message: event at position 2 (thing.happened), key "order-1": not now`)
		stop()

		r.Tries = 10
		stop = running(t, r)
		time.Sleep(10 * time.Minute)
		letters, err := r.DeadLetters(t.Context())
		require.NoError(t, err)
		require.Len(t, letters, 1)
		require.Equal(t, "refused 10 times: not now", letters[0].Cause)
		bus.key = ""
		require.NoError(t, r.Retry(t.Context(), "order-1"))
		stop()
		require.Equal(t, 8, firstsInOrder(t, bus.Bus, 4, 3), "the second run knew of the first event only that it was published")
	})
}

// stubborn does not take the messages of a key, and says that this may pass.
type stubborn struct {
	*relaytest.Bus

	key string
}

func (b *stubborn) Publish(ctx context.Context, all []relay.Message) ([]error, error) {
	results := make([]error, len(all))
	for n, m := range all {
		if results[n] = errors.New("not now"); m.Key != b.key {
			one, err := b.Bus.Publish(ctx, []relay.Message{m})
			if err != nil {
				return nil, err
			}
			results[n] = one[0]
		}
	}
	return results, nil
}

func TestABusThatAsksForLessGetsOneRequestAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &relaytest.Bus{Most: relay.Limits{Messages: 1}}
		var mu sync.Mutex
		now, throttled := 0, 0
		slow := &throttling{Bus: bus, ask: func() (bool, func()) {
			mu.Lock()
			defer mu.Unlock()
			now++
			if throttled > 0 {
				assert.Equal(t, 1, now, "it was asked for less")
			}
			if now > 1 || throttled > 0 && throttled < 4 {
				throttled++
				return true, func() { mu.Lock(); now--; mu.Unlock() }
			}
			return false, func() { mu.Lock(); now--; throttled = min(throttled, 0); mu.Unlock() }
		}}
		r := relay.Relay{Name: "orders", Log: filled(t, many(8, 1)...), Sink: memory.NewSink(), Publisher: slow, Requests: 2}
		require.NoError(t, r.CatchUp(t.Context()))
		require.Zero(t, firstsInOrder(t, bus, 8, 1))
	})
}

type throttling struct {
	*relaytest.Bus

	ask func() (throttle bool, done func())
}

func (b *throttling) Publish(ctx context.Context, all []relay.Message) ([]error, error) {
	throttle, done := b.ask()
	defer done()
	time.Sleep(time.Millisecond) // the bus takes its time
	if throttle {
		return []error{fmt.Errorf("%w: rate exceeded", relay.ErrThrottled)}, nil
	}
	return b.Bus.Publish(ctx, all)
}

func TestARequestThatHangsIsGivenUpAndMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &relaytest.Bus{}
		hung := 0
		bus.OnRequest = func(ctx context.Context, _ []relay.Message) error {
			if hung++; hung > 2 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		r := relay.Relay{Name: "orders", Log: filled(t, many(2, 2)...), Sink: memory.NewSink(), Publisher: bus, Timeout: 5 * time.Second}
		start := time.Now()
		require.NoError(t, r.CatchUp(t.Context()))
		require.GreaterOrEqual(t, time.Since(start), 10*time.Second)
		require.Less(t, time.Since(start), 11*time.Second)
		require.Zero(t, firstsInOrder(t, bus, 2, 2))
	})
}

// A publisher that breaks its contract stops the relay, and nothing is passed by.
func TestAPublisherThatIsWrongStopsTheRelayUntilPeopleHaveMendedIt(t *testing.T) {
	for want, publish := range map[string]func() ([]error, error){
		"Publisher returned 0 results for 4 messages": func() ([]error, error) { return nil, nil },
		"permission denied":                           func() ([]error, error) { return nil, fmt.Errorf("%w: permission denied", subscription.ErrPermanent) },
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := &relaytest.Bus{}
				wrong := &replaced{Bus: bus, publish: publish}
				r := relay.Relay{Name: "orders", Log: filled(t, many(2, 2)...), Sink: memory.NewSink(), Publisher: wrong, TTL: 2 * time.Second}
				stop := running(t, r)
				time.Sleep(time.Minute)
				status, err := r.Status(t.Context())
				require.NoError(t, err)
				require.Equal(t, subscription.Failed, status.Segments[0].Report.State)
				require.Contains(t, status.Segments[0].Report.Note, want)
				require.Zero(t, status.Position)
				require.Empty(t, status.Parked)

				require.NoError(t, r.Pause(t.Context()))
				time.Sleep(time.Minute)
				wrong.publish = nil
				require.NoError(t, r.Resume(t.Context()))
				require.NoError(t, bus.Await(t.Context(), 4))
				stop()
				require.Zero(t, firstsInOrder(t, bus, 2, 2))
			})
		})
	}
}

type replaced struct {
	*relaytest.Bus

	publish func() ([]error, error)
}

func (b *replaced) Publish(ctx context.Context, all []relay.Message) ([]error, error) {
	if b.publish != nil {
		return b.publish()
	}
	return b.Bus.Publish(ctx, all)
}

func TestAPublisherThatPanicsFailsTheRequestAndNotTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := &replaced{Bus: &relaytest.Bus{}, publish: func() ([]error, error) { panic("nil map") }}
		r := relay.Relay{Name: "orders", Log: filled(t, "order-1"), Sink: memory.NewSink(), Publisher: panics}
		require.ErrorContains(t, r.CatchUp(t.Context()), "Publisher panicked: nil map")
	})
}

// measuring panics when it looks at one of the keys.
type measuring struct{ *relaytest.Bus }

func (b measuring) Size(m relay.Message) int {
	if m.Key == "order-1" {
		panic("no data")
	}
	return b.Bus.Size(m)
}

func TestAPublisherThatPanicsOnTheSizeOfAMessageMakesItADeadLetter(t *testing.T) {
	bus := &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: filled(t, "order-1", "order-2"), Sink: memory.NewSink(), Publisher: measuring{bus}}
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []string{"2"}, data(bus))
	letters, err := r.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "Publisher panicked: no data", letters[0].Cause)
}

func TestAPausedRelayPublishesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, bus := filled(t, many(2, 2)...), &relaytest.Bus{}
		r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus, TTL: 2 * time.Second}
		stop := running(t, r)
		require.NoError(t, bus.Await(t.Context(), 4))
		require.NoError(t, r.Pause(t.Context()))
		time.Sleep(10 * time.Second) // it attends, and notices
		add(t, store, many(2, 1)...)
		time.Sleep(time.Minute)
		require.Len(t, bus.Arrivals(), 4)
		require.ErrorContains(t, r.CatchUp(t.Context()), "paused")
		require.NoError(t, r.Resume(t.Context()))
		require.NoError(t, bus.Await(t.Context(), 6))
		stop()
		firstsInOrder(t, bus, 2, 3)
	})
}

func TestARelayThatIsToldToStopEndsItsRequestsSoThatTheNextOneRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &relaytest.Bus{Most: relay.Limits{Messages: 2}}
		bus.OnRequest = func(ctx context.Context, _ []relay.Message) error {
			select {
			case <-time.After(time.Second): // the bus takes its time
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		r := relay.Relay{Name: "orders", Log: filled(t, many(4, 10)...), Sink: memory.NewSink(), Publisher: bus, Requests: 1}
		for len(bus.Arrivals()) < 40 {
			stop := running(t, r)
			time.Sleep(2500 * time.Millisecond)
			stop()
		}
		require.Zero(t, firstsInOrder(t, bus, 4, 10))
	})
}
