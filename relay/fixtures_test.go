package relay_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := publishUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// filled returns a store with an event in each of the streams, in this order; its payload is the
// number of the event.
func filled(t testing.TB, streams ...eventstore.StreamID) *memory.Store {
	store := memory.NewStore()
	add(t, store, streams...)
	return store
}

func add(t testing.TB, store eventstore.Store, streams ...eventstore.StreamID) {
	require.NoError(t, appendTo(t.Context(), store, streams...))
}

func appendTo(ctx context.Context, store eventstore.Store, streams ...eventstore.StreamID) error {
	head, err := store.Head(ctx)
	for n, stream := range streams {
		if err != nil {
			return err
		}
		_, err = store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
			Stream: stream, Events: []eventstore.EventData{{Type: "thing.happened", Data: fmt.Append(nil, int(head.Position)+n+1)}},
		}}})
	}
	return err
}

// many returns so many events of each of some streams, by turns.
func many(keys, each int) (streams []eventstore.StreamID) {
	for range each {
		for n := range keys {
			streams = append(streams, eventstore.NewStreamID("order", fmt.Sprint(n)))
		}
	}
	return streams
}

func events(t testing.TB, store eventstore.LogReader) (all []eventstore.Recorded) {
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

// idOf returns the id that a relay gives to the message of an event.
func idOf(t testing.TB, r relay.Relay, position eventstore.Position) string {
	bus := &relaytest.Bus{}
	r.Sink, r.Publisher = memory.NewSink(), bus
	require.NoError(t, r.CatchUp(t.Context()))
	all := bus.Messages()
	n := slices.IndexFunc(all, func(m relay.Message) bool { return m.Position == position })
	require.GreaterOrEqual(t, n, 0)
	return all[n].ID
}

// data returns the payloads that have arrived, in this order.
func data(bus *relaytest.Bus) (all []string) {
	for _, a := range bus.Arrivals() {
		all = append(all, a.Data)
	}
	return all
}

// firstsInOrder checks that the messages of each key arrived in order, each for the first time, and that none is
// missing; repeats must be the same. It returns how many repeats there were.
func firstsInOrder(t testing.TB, bus *relaytest.Bus, keys int, each eventstore.Version) (repeats int) {
	last, known := map[string]eventstore.Version{}, map[string]relaytest.Arrival{}
	for _, a := range bus.Arrivals() {
		place := fmt.Sprintf("%s at %d", a.Key, a.Version)
		if before, there := known[place]; there {
			require.Equal(t, before, a)
			repeats++
			continue
		}
		require.Equal(t, last[a.Key]+1, a.Version, "key %s", a.Key)
		last[a.Key], known[place] = a.Version, a
	}
	require.Len(t, last, keys)
	for key, version := range last {
		require.Equal(t, each, version, "key %s", key)
	}
	return repeats
}

// running runs a relay until the test ends or stop is called; then it must return nil.
func running(t testing.TB, r relay.Relay) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}
