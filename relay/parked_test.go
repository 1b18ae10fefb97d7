package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

func TestADeadLetterStopsItsKeyAloneAndTellsWhy(t *testing.T) {
	store, bus := filled(t, "order-1", "order-2", "order-1", "order-2", "order-1"), &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
	bus.Break(idOf(t, r, 3), relaytest.Refused)
	require.NoError(t, r.CatchUp(t.Context()))
	add(t, store, "order-1", "order-2")
	require.NoError(t, r.CatchUp(t.Context()))
	require.ElementsMatch(t, []string{"1", "2", "4", "7"}, data(bus))
	letters, err := r.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Len(t, letters, 1)
	l := letters[0]
	require.WithinDuration(t, time.Now(), l.At, time.Minute)
	require.Equal(t, "message is refused for good: the bus does not like it", l.Cause)
	require.Equal(t, "order-1", l.Key)
	require.Equal(t, events(t, store)[2], l.Recorded)
	require.Equal(t, eventstore.Anchor{Position: 3, EventID: l.Recorded.ID}, l.Event)
	status, err := r.Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, status.Lag())
	require.Len(t, status.Parked, 1)
}

func TestRetryPublishesWhatTheKeyLacksInOrder(t *testing.T) {
	store, bus := filled(t, many(2, 700)...), &relaytest.Bus{Most: relay.Limits{Messages: 10}}
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
	id := idOf(t, r, 4)
	bus.Break(id, relaytest.Refused)
	require.NoError(t, r.CatchUp(t.Context()))
	require.ErrorIs(t, r.Retry(t.Context(), "order-1"), relay.ErrStillParked)
	bus.Break(id, relaytest.Fine)
	require.NoError(t, r.Retry(t.Context(), "order-1"))
	require.Zero(t, firstsInOrder(t, bus, 2, 700))
	require.NoError(t, r.Retry(t.Context(), "order-1"), "it is parked no more")
	require.Zero(t, firstsInOrder(t, bus, 2, 700))
}

func TestSkipLeavesOutOneEventAndPublishesTheLaterOnes(t *testing.T) {
	store, bus := filled(t, "order-1", "order-1", "order-1", "order-1"), &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
	bus.Break(idOf(t, r, 2), relaytest.Refused)
	bus.Break(idOf(t, r, 4), relaytest.Refused)
	require.NoError(t, r.CatchUp(t.Context()))
	require.ErrorIs(t, r.Skip(t.Context(), "order-1", 3), relay.ErrNotParked)
	require.ErrorIs(t, r.Skip(t.Context(), "order-1", 0), relay.ErrNotParked)
	require.ErrorIs(t, r.Skip(t.Context(), "order-1", 2), relay.ErrStillParked)
	letters, err := r.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.EqualValues(t, 4, letters[0].Event.Position)
	require.ErrorIs(t, r.Skip(t.Context(), "order-1", 2), relay.ErrNotParked, "it is another dead letter by now")
	require.NoError(t, r.Skip(t.Context(), "order-1", 4))
	require.Equal(t, []string{"1", "3"}, data(bus))
	add(t, store, "order-1")
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []string{"1", "3", "5"}, data(bus))
}

func TestRetryBesideWorkersAndAppendsLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, each = 6, 60
		store, bus := memory.NewStore(), &relaytest.Bus{Most: relay.Limits{Messages: 5}}
		bus.OnRequest = func(context.Context, []relay.Message) error {
			time.Sleep(time.Millisecond) // the bus takes its time
			return nil
		}
		r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus, TTL: time.Second, Segments: 2, Window: 20}
		add(t, store, many(keys, 10)...)
		broken := []string{idOf(t, r, 8), idOf(t, r, 16)}
		for _, id := range broken {
			bus.Break(id, relaytest.Refused)
		}
		stop := running(t, r)
		appended := make(chan error)
		go func() {
			var failed error
			for range each - 10 {
				failed = errors.Join(failed, appendTo(t.Context(), store, many(keys, 1)...))
				time.Sleep(2 * time.Millisecond)
			}
			appended <- failed
		}()
		time.Sleep(50 * time.Millisecond)
		letters, err := r.DeadLetters(t.Context())
		require.NoError(t, err)
		require.Len(t, letters, 2)
		for n, l := range letters {
			bus.Break(broken[n], relaytest.Fine)
			bus.Break(broken[1-n], relaytest.Fine)
			twice := make(chan error)
			go func() { twice <- r.Retry(t.Context(), l.Key) }() // two people at a time
			require.NoError(t, r.Retry(t.Context(), l.Key))
			require.NoError(t, <-twice)
		}
		require.NoError(t, <-appended)
		time.Sleep(10 * time.Second)
		stop()
		firstsInOrder(t, bus, keys, each)
		status, err := r.Status(t.Context())
		require.NoError(t, err)
		require.Empty(t, status.Parked)
		require.Zero(t, status.Lag())
	})
}

func TestADeadLetterIsKeptWhenTheCheckpointPassesItAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &stubborn{key: "order-1", Bus: &relaytest.Bus{}}
		r := relay.Relay{Name: "orders", Log: filled(t, "order-0", "order-2", "order-0", "order-1", "order-2", "order-0"), Sink: memory.NewSink(), Publisher: bus}
		for _, position := range []eventstore.Position{2, 6} {
			bus.Break(idOf(t, r, position), relaytest.Refused)
		}
		require.ErrorContains(t, r.CatchUp(t.Context()), "not now")
		status, err := r.Status(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, status.Position, "up to what was not taken")
		require.Len(t, status.Parked, 1)
		require.EqualValues(t, 2, status.Parked[0].Event.Position)
		bus.key = ""
		require.NoError(t, r.CatchUp(t.Context()))
		status, err = r.Status(t.Context())
		require.NoError(t, err)
		require.Zero(t, status.Lag())
		require.Len(t, status.Parked, 2)
	})
}

func TestTooManyDeadLettersStopTheRelay(t *testing.T) {
	store, bus := filled(t, many(5, 2)...), &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus, MaxParked: 2, Window: 4}
	for position := range eventstore.Position(3) {
		bus.Break(idOf(t, r, 3+position), relaytest.Refused)
	}
	err := r.CatchUp(t.Context())
	require.ErrorIs(t, err, subscription.ErrPermanent)
	require.ErrorContains(t, err, "2 keys of segment 0-1023 have a dead letter already: event at position 5")
	status, err := r.Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, status.Position, "the last window that went well")
	require.Len(t, status.Parked, 2)

	none := r
	none.Sink, none.MaxParked = memory.NewSink(), -1
	require.ErrorContains(t, none.CatchUp(t.Context()), "the bus does not like it")
}

func TestAKeyThatNoSinkCanKeepStopsTheRelayWhenItWouldBeParked(t *testing.T) {
	bus := &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: filled(t, "order-1"), Sink: memory.NewSink(), Publisher: bus}
	r.Key = func(eventstore.Recorded) string { return "a\x00b" }
	bus.Break(idOf(t, r, 1), relaytest.Refused)
	require.ErrorContains(t, r.CatchUp(t.Context()), "must be UTF-8 without NUL")
	r.Key = func(eventstore.Recorded) string { panic("no customer") }
	require.ErrorContains(t, r.CatchUp(t.Context()), "event at position 1 (order-1): Key panicked: no customer")
}

func TestARelayBeginsWherePeopleSay(t *testing.T) {
	store, bus := filled(t, many(2, 3)...), &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
	require.NoError(t, r.MoveTo(t.Context(), 4))
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []string{"5", "6"}, data(bus))
	require.NoError(t, r.MoveTo(t.Context(), 4))
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, bus.Arrivals()[:2], bus.Arrivals()[2:], "again, with the same ids")
	require.ErrorIs(t, r.MoveTo(t.Context(), 7), eventstore.ErrAheadOfLog)
}

func TestMoveToTakesARunningRelayAlongAndForgetsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, bus := filled(t, many(4, 3)...), &relaytest.Bus{}
		r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus, Segments: 3, TTL: time.Second}
		bus.Break(idOf(t, r, 2), relaytest.Refused)
		stop := running(t, r)
		time.Sleep(10 * time.Second)
		require.Len(t, bus.Arrivals(), 9)
		require.NoError(t, r.MoveTo(t.Context(), 8))
		time.Sleep(10 * time.Second)
		require.Len(t, bus.Arrivals(), 13)
		status, err := r.Status(t.Context())
		require.NoError(t, err)
		require.Empty(t, status.Parked)
		require.Len(t, status.Segments, 3)
		require.Zero(t, status.Lag())
		stop()
	})
}

// restored is a store in a later life, after a backup was restored.
type restored struct {
	*memory.Store

	identity eventstore.Identity
}

func (s restored) Head(ctx context.Context) (eventstore.Token, error) {
	at, err := s.Store.Head(ctx)
	at.Identity = s.identity
	return at, err
}

func (s restored) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	read, err := s.Store.ReadLog(ctx, query)
	if err == nil {
		read.Identity = s.identity
	}
	return read, err
}

func TestALogThatWasRolledBackStopsTheRelayUntilPeopleHaveDecided(t *testing.T) {
	store, bus := filled(t, many(2, 3)...), &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
	require.NoError(t, r.CatchUp(t.Context()))
	identity := head(t, store).Identity
	identity.Incarnation++
	later := restored{filled(t, many(2, 4)...), identity}
	r.Log = later
	require.ErrorIs(t, r.CatchUp(t.Context()), eventstore.ErrDiverged)
	require.Len(t, bus.Arrivals(), 6, "nothing was published")
	require.NoError(t, r.MoveTo(t.Context(), 6))
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []string{"1", "2", "3", "4", "5", "6", "7", "8"}, data(bus))
}

func TestRetryRefusesALogThatWasRolledBack(t *testing.T) {
	for name, same := range map[string]int{"at the dead letter": 0, "behind it": 2} {
		t.Run(name, func(t *testing.T) {
			ids := []eventstore.EventID{eventstore.NewEventID(), eventstore.NewEventID(), eventstore.NewEventID()}
			logOf := func() *memory.Store {
				store := memory.NewStore()
				for n := range ids {
					_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
						Stream: "order-1", Events: []eventstore.EventData{{ID: ids[n], Type: "thing.happened"}},
					}}})
					require.NoError(t, err)
				}
				return store
			}
			store, bus := logOf(), &relaytest.Bus{}
			r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
			id := idOf(t, r, 1)
			bus.Break(id, relaytest.Refused)
			require.NoError(t, r.CatchUp(t.Context()))
			for n := range ids[same:] {
				ids[same+n] = eventstore.NewEventID()
			}
			r.Log = restored{logOf(), head(t, store).Identity}
			bus.Break(id, relaytest.Fine)
			require.ErrorIs(t, r.Retry(t.Context(), "order-1"), eventstore.ErrDiverged)
			status, err := r.Status(t.Context())
			require.NoError(t, err)
			require.Len(t, status.Parked, 1)
		})
	}
}

// The projection of the same log is built anew, and nothing is published.
func TestARebuildOfAReadModelPublishesNothing(t *testing.T) {
	store, sink, bus := filled(t, "order-1", "order-2"), memory.NewSink(), &relaytest.Bus{}
	r := relay.Relay{Name: "orders", Log: store, Sink: sink, Publisher: bus}
	require.NoError(t, r.CatchUp(t.Context()))
	for version := 1; version <= 3; version++ {
		handler := projection.NewHandler("counts", projection.HandlerOptions{Version: version, Apart: true},
			func(_ context.Context, tx *memory.Tx, e eventstore.Recorded) error {
				tx.Put("counts", fmt.Sprint(version, e.Position), 1)
				return nil
			})
		require.NoError(t, projection.Runner{Log: store, Tasks: []projection.Task{projection.On(sink, handler)}}.CatchUp(t.Context()))
	}
	require.Len(t, bus.Arrivals(), 2)
	require.NoError(t, r.CatchUp(t.Context()))
	require.Len(t, bus.Arrivals(), 2)
}
