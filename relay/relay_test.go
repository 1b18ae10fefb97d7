package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

func TestAMessageTellsAllOfItsEvent(t *testing.T) {
	store, bus := memory.NewStore(), &relaytest.Bus{}
	metadata := eventstore.Metadata{eventstore.MetadataCorrelationID: "c-1", eventstore.MetadataActor: "ann"}
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{{
		Type: "order.placed", SchemaVersion: 3, Tags: []eventstore.Tag{"customer:7"}, Data: []byte(`{"total":1}`), Metadata: metadata.Encode(),
	}}}}})
	require.NoError(t, err)
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
	require.NoError(t, r.CatchUp(t.Context()))
	e, head := events(t, store)[0], head(t, store)
	require.Len(t, bus.Messages(), 1)
	m := bus.Messages()[0]
	require.Regexp(t, "^[0-9a-f]{32}$", m.ID)
	m.ID = ""
	require.Equal(t, relay.Message{
		Key: "order-1", Source: head.Store, Stream: "order-1", Version: 1, Position: 1, EventID: e.ID,
		Type: "order.placed", SchemaVersion: 3, Tags: []eventstore.Tag{"customer:7"}, Data: []byte(`{"total":1}`), Metadata: metadata, RecordedAt: e.RecordedAt,
	}, m)
}

func head(t testing.TB, store eventstore.LogReader) eventstore.Token {
	at, err := store.Head(t.Context())
	require.NoError(t, err)
	return at
}

func TestTheIDOfAMessageIsMadeOfRelayStoreStreamAndEvent(t *testing.T) {
	store := filled(t, "order-1", "order-2")
	r := relay.Relay{Name: "orders", Log: store}
	id := idOf(t, r, 1)
	require.Equal(t, id, idOf(t, r, 1))
	require.NotEqual(t, id, idOf(t, r, 2))
	other := r
	other.Name = "invoices"
	require.NotEqual(t, id, idOf(t, other, 1))
	other = r
	other.Log = filled(t, "order-1")
	require.NotEqual(t, id, idOf(t, other, 1))
}

// failingSink fails, instead of some moves.
type failingSink struct {
	projection.Sink

	fail func(projection.Move) error // before; nil: it moves
}

func (s failingSink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := s.fail(move); err != nil {
		return err
	}
	return s.Sink.Commit(ctx, model, move, changes)
}

func TestACrashBetweenTheBusAndTheCheckpointRepeatsTheSameMessagesInTheSameOrder(t *testing.T) {
	store, bus, sink := filled(t, many(3, 4)...), &relaytest.Bus{}, memory.NewSink()
	crashed := errors.New("crashed")
	r := relay.Relay{Name: "orders", Log: store, Publisher: bus, Window: 5, Requests: 1}
	r.Sink = failingSink{sink, func(move projection.Move) error {
		if move.To.Position() > 5 {
			return fmt.Errorf("%w: %w", subscription.ErrPermanent, crashed)
		}
		return nil
	}}
	require.ErrorIs(t, r.CatchUp(t.Context()), crashed)
	before := bus.Arrivals()
	require.Len(t, before, 10, "two windows")
	r.Sink = sink
	require.NoError(t, r.CatchUp(t.Context()))
	after := bus.Arrivals()[10:]
	require.Equal(t, before[5:], after[:5], "the window that was not committed comes again")
	require.Equal(t, 5, firstsInOrder(t, bus, 3, 4))
}

func TestWorkersShareARelayAndKeepTheOrderOfEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, each = 40, 25
		store, sink, bus := memory.NewStore(), memory.NewSink(), &relaytest.Bus{Most: relay.Limits{Messages: 10}}
		r := relay.Relay{Name: "orders", Log: store, Sink: sink, Publisher: bus, Segments: 4, TTL: time.Second, Window: 50}
		first, second := running(t, r), running(t, r)
		add(t, store, many(keys, each)[:keys*each/2]...)
		require.NoError(t, bus.Await(t.Context(), keys*each/4))
		first() // the other one takes over
		add(t, store, many(keys, each)[keys*each/2:]...)
		third := running(t, r)
		require.NoError(t, bus.Await(t.Context(), keys*each))
		synctest.Wait()
		second()
		third()
		firstsInOrder(t, bus, keys, each)
		status, err := r.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, status.Segments, 4)
		require.Equal(t, status.Head, status.Position)
	})
}

func TestAKeyIsInOneRequestAtATimeAndOthersAreUnderWayMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		under, most, now := map[string]int{}, 0, 0
		bus := &relaytest.Bus{Most: relay.Limits{Messages: 4}}
		bus.OnRequest = func(_ context.Context, all []relay.Message) error {
			keys := map[string]bool{}
			for _, m := range all {
				keys[m.Key] = true
			}
			mu.Lock()
			now++
			most = max(most, now)
			for key := range keys {
				under[key]++
				assert.Equal(t, 1, under[key], "key %s is in two requests", key)
			}
			mu.Unlock()
			time.Sleep(10 * time.Millisecond) // the bus takes its time, which is not ours
			mu.Lock()
			now--
			for key := range keys {
				under[key]--
			}
			mu.Unlock()
			return nil
		}
		r := relay.Relay{Name: "orders", Log: filled(t, many(12, 6)...), Sink: memory.NewSink(), Publisher: bus, Requests: 3}
		require.NoError(t, r.CatchUp(t.Context()))
		require.Equal(t, 3, most)
		require.Zero(t, firstsInOrder(t, bus, 12, 6))
	})
}

func TestWhatIsSelectedAndHowItIsTranslatedIsTheRelays(t *testing.T) {
	store, bus := filled(t, "order-1", "cart-1", "order-2", "order-1"), &relaytest.Bus{}
	r := relay.Relay{
		Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus,
		Key: func(e eventstore.Recorded) string { return "customer of " + string(e.Stream) },
		Translate: func(m *relay.Message, e eventstore.Recorded) (bool, error) {
			m.Type, m.Data = "shop.order", bytes.ToUpper(append([]byte("no "), e.Data...))
			m.ID, m.Key, m.Version = "mine", "mine", 99 // are not its to change
			return e.Stream.Category() == "order", nil
		},
	}
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []string{"NO 1", "NO 3", "NO 4"}, data(bus))
	m := bus.Messages()[2]
	require.Equal(t, "shop.order", m.Type)
	require.Equal(t, "customer of order-1", m.Key)
	require.EqualValues(t, 2, m.Version)
	status, err := r.Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, status.Lag(), "what is not published is passed by")
}

func TestAMessageThatIsTooLargeIsADeadLetterAndIsNotOffered(t *testing.T) {
	store, bus := filled(t, "order-1", "order-2", "order-1"), &relaytest.Bus{Most: relay.Limits{MessageBytes: 100}}
	bus.OnRequest = func(_ context.Context, all []relay.Message) error {
		for _, m := range all {
			assert.NotEqual(t, "order-1", m.Key)
		}
		return nil
	}
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
	r.Translate = func(m *relay.Message, _ eventstore.Recorded) (bool, error) {
		if m.Position == 1 {
			m.Data = bytes.Repeat([]byte("x"), 80)
		}
		return true, nil
	}
	require.NoError(t, r.CatchUp(t.Context()))
	letters, err := r.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "message thing.happened: bytes as the bus counts them too large: 101, the limit is 100; keep the large part elsewhere and have Translate publish where it is (a claim check)", letters[0].Cause)
}

func TestAnEventThatCannotBeTranslatedIsADeadLetterBehindWhatCameBeforeIt(t *testing.T) {
	for what, translate := range map[string]func() error{
		"bad event":                 func() error { return errors.New("bad event") },
		"Translate panicked: oh no": func() error { panic("oh no") },
	} {
		t.Run(what, func(t *testing.T) {
			store, bus := filled(t, "order-1", "order-2", "order-1", "order-1", "order-2"), &relaytest.Bus{}
			r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: bus}
			mended := false
			r.Translate = func(m *relay.Message, _ eventstore.Recorded) (bool, error) {
				if m.Position == 3 && !mended {
					return true, translate()
				}
				return true, nil
			}
			bus.Break(idOf(t, relay.Relay{Name: r.Name, Log: store}, 1), relaytest.Busy)
			require.NoError(t, r.CatchUp(t.Context()))
			require.ElementsMatch(t, []string{"1", "2", "5"}, data(bus))
			letters, err := r.DeadLetters(t.Context())
			require.NoError(t, err)
			require.Len(t, letters, 1)
			require.Equal(t, what, letters[0].Cause)
			require.Equal(t, "3", string(letters[0].Recorded.Data))
			mended = true
			require.NoError(t, r.Retry(t.Context(), "order-1"))
			require.Equal(t, []string{"3", "4"}, data(bus)[3:])
		})
	}
}

func TestARelayThatIsFilledInWronglyDoesNotStart(t *testing.T) {
	good := relay.Relay{Name: "orders", Log: memory.NewStore(), Sink: memory.NewSink(), Publisher: &relaytest.Bus{}}
	for want, change := range map[string]func(*relay.Relay){
		"Name, Log and Sink are required": func(r *relay.Relay) { r.Name = "" },
		"Publisher is required":           func(r *relay.Relay) { r.Publisher = nil },
		"is not usable":                   func(r *relay.Relay) { r.Name = "Orders" },
		"-1 segments":                     func(r *relay.Relay) { r.Segments = -1 },
		"event type":                      func(r *relay.Relay) { r.Query = eventstore.Types("") },
	} {
		r := good
		change(&r)
		require.ErrorContains(t, r.Run(t.Context()), want)
		require.ErrorContains(t, r.CatchUp(t.Context()), want)
	}
}

func TestARelayAndAReadModelDoNotShareAName(t *testing.T) {
	store, sink := filled(t, "order-1"), memory.NewSink()
	type Row struct{ N int }
	type Happened struct{}
	set, err := codec.NewSet(codec.Event[Happened]("thing.happened"))
	require.NoError(t, err)
	view := projection.NewView("orders", projection.ViewOptions{Version: 1}, projection.When(func(*Row, Happened, eventstore.Recorded) {}))
	task := projection.Into(sink, view)
	require.NoError(t, projection.Runner{Log: filled(t), Events: set, Tasks: []projection.Task{task}}.CatchUp(t.Context()))
	r := relay.Relay{Name: "orders", Log: store, Sink: sink, Publisher: &relaytest.Bus{}}
	require.ErrorIs(t, r.Run(t.Context()), projection.ErrDefinitionChanged)
	other := relay.Relay{Name: "keyed", Log: store, Sink: sink, Publisher: &relaytest.Bus{}}
	require.NoError(t, other.CatchUp(t.Context()))
	other.Key = func(e eventstore.Recorded) string { return e.Type }
	require.ErrorIs(t, other.CatchUp(t.Context()), projection.ErrDefinitionChanged, "a relay with keys is another one")
}
