package system

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// openNew opens the system on a database of its own.
func openNew(t *testing.T, s System) Store {
	t.Helper()
	server, err := testservers.SharedPostgres()
	if errors.Is(err, testservers.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	database, err := server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	require.NoError(t, s.Create(t.Context(), server.URL(database)))
	store, err := s.Open(t.Context(), server.URL(database), 4)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

// eventsFrom returns events with rising refs.
func eventsFrom(first int64, count int) []Event {
	events := make([]Event, count)
	for i := range events {
		events[i] = NewEvent(NewRef(0, first+int64(i)))
	}
	return events
}

func everySystem() []System { return append([]System{Leftfold, Naive(4), Prototype}, Peers...) }

func TestEverySystemGivesBackWhatWasAppended(t *testing.T) {
	for _, s := range everySystem() {
		t.Run(s.Name, func(t *testing.T) {
			store := openNew(t, s)
			for _, a := range []Append{
				{Stream: "order-one", Events: eventsFrom(0, 3)},
				{Stream: "order-one", Expected: 3, Events: eventsFrom(3, 1)},
				{Stream: "order-two", Events: eventsFrom(4, 2)},
			} {
				_, err := store.Append(t.Context(), a)
				require.NoError(t, err)
			}
			if loader, ok := store.(StreamLoader); ok {
				events, err := loader.LoadStream(t.Context(), "order-one")
				require.NoError(t, err)
				assert.Equal(t, 4, events)
			}
			events, err := store.(LogReader).ReadLog(t.Context(), 6)
			require.NoError(t, err)
			assert.Equal(t, 6, events)
			assert.Equal(t, []int64{NewRef(0, 0), NewRef(0, 1), NewRef(0, 2), NewRef(0, 3), NewRef(0, 4), NewRef(0, 5)}, subscribed(t, store, 6))
		})
	}
}

// subscribed returns the first refs that a live reader gets.
func subscribed(t *testing.T, store Store, count int) []int64 {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var refs []int64
	require.NoError(t, store.(Subscriber).Subscribe(ctx, func(ref int64) {
		if refs = append(refs, ref); len(refs) == count {
			stop()
		}
	}))
	return refs
}

func TestEverySystemThatChecksVersionsRefusesAWrongOne(t *testing.T) {
	for _, s := range everySystem() {
		t.Run(s.Name, func(t *testing.T) {
			store := openNew(t, s)
			_, err := store.Append(t.Context(), Append{Stream: "order-one", Events: eventsFrom(0, 2)})
			require.NoError(t, err)
			_, err = store.Append(t.Context(), Append{Stream: "order-one", Expected: 1, Events: eventsFrom(2, 1)})
			assert.Equal(t, s.Unchecked, err == nil, "%v", err)
		})
	}
}

func TestConditionsAreChecked(t *testing.T) {
	for _, s := range []System{Leftfold, Crablet, Prototype} {
		t.Run(s.Name, func(t *testing.T) {
			store := openNew(t, s)
			tags := []eventstore.Tag{"order:1", "customer:2", "region:3"}
			a := Append{Stream: "order-one", Tags: tags, OnlyIfNone: tags[:2], Events: eventsFrom(0, 1)}
			_, err := store.Append(t.Context(), a)
			require.NoError(t, err)
			a.Stream, a.Events = "order-two", eventsFrom(1, 1)
			_, err = store.Append(t.Context(), a)
			assert.Error(t, err, "an event carries both tags")
		})
	}
}

func TestLeftfoldDecodesTheLogWithOneDecoderOrSeveral(t *testing.T) {
	store := openNew(t, Leftfold)
	for n := range 25 {
		_, err := store.Append(t.Context(), Append{Stream: "order-one", Expected: int64(100 * n), Events: eventsFrom(int64(100*n), 100)})
		require.NoError(t, err)
	}
	for _, decoders := range []int{0, 1, 3} {
		read, err := store.(EventStore).ReadDecoded(t.Context(), decoders)
		require.NoError(t, err)
		assert.Equal(t, 2500, read, decoders)
	}
}

func TestNamesAreUnique(t *testing.T) {
	var names []string
	for _, s := range everySystem() {
		assert.False(t, slices.Contains(names, s.Name), s.Name)
		names = append(names, s.Name)
	}
}
