package relay_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

// faultyStore is a store that does wrong with the appends of some messages.
type faultyStore struct {
	eventstore.Store

	mu     sync.Mutex
	faults map[string]relaytest.Fault
}

func (s *faultyStore) set(id string, fault relaytest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[id] = fault
}

func (s *faultyStore) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	id := request.Command.ID.String()
	s.mu.Lock()
	fault := s.faults[id]
	if fault != relaytest.Refused {
		delete(s.faults, id)
	}
	s.mu.Unlock()
	switch fault {
	case relaytest.Busy:
		return eventstore.Receipt{}, errors.New("no connection")
	case relaytest.Throttled:
		return eventstore.Receipt{}, eventstore.ErrStoreBusy
	case relaytest.Lost:
		return eventstore.Receipt{}, eventstore.ErrOutcomeUnknown
	case relaytest.Refused:
		return eventstore.Receipt{}, &eventstore.InvalidError{What: "event", Reason: "the script wants it"}
	}
	receipt, err := s.Store.Append(ctx, request)
	if err == nil && fault == relaytest.AnswerLost {
		return eventstore.Receipt{}, eventstore.ErrOutcomeUnknown
	}
	return receipt, err
}

// arrivals returns what a store has, as messages.
func arrivals(ctx context.Context, store eventstore.LogReader) (all []relaytest.Arrival, err error) {
	read, err := store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return nil, err
	}
	for e, err := range read.Events() {
		if err != nil {
			return nil, err
		}
		of, err := eventstore.ParseMetadata(e.Metadata)
		if err != nil {
			return nil, err
		}
		version, err := strconv.ParseInt(of[relay.MetadataSourceVersion], 10, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, relaytest.Arrival{
			ID: hex.EncodeToString(e.ID[:]), Key: string(e.Stream), Version: eventstore.Version(version), Type: e.Type, Data: string(e.Data),
		})
	}
	return all, nil
}

func TestAStoreIsAPublisherThatTakesEachMessageOnce(t *testing.T) {
	relaytest.Run(t, func(testing.TB) relaytest.Subject {
		other := &faultyStore{Store: memory.NewStore(), faults: map[string]relaytest.Fault{}}
		return relaytest.Subject{
			Publisher: relay.StorePublisher{Store: other},
			Arrivals: func(ctx context.Context) ([]relaytest.Arrival, error) {
				return arrivals(ctx, other)
			},
			Break: other.set,
			Parts: relaytest.Parts{Store: memory.NewStore(), Sink: memory.NewSink()},
		}
	})
}

func TestRepeatsChangeNothingInAnotherStore(t *testing.T) {
	store, other := filled(t, "order-1", "order-2", "order-1"), memory.NewStore()
	for range 3 { // each forgets where it was
		r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: relay.StorePublisher{Store: other}}
		require.NoError(t, r.CatchUp(t.Context()))
	}
	head, err := other.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, head.Position)
}

func TestAnEventOfAnotherStoreSaysWhatItWasMadeFrom(t *testing.T) {
	store, other := memory.NewStore(), memory.NewStore()
	receipt, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{{
		Type: "order.placed", SchemaVersion: 2, Tags: []eventstore.Tag{"customer:7"}, Data: []byte(`{"total":1}`),
		Metadata: eventstore.Metadata{eventstore.MetadataCorrelationID: "c-1", eventstore.MetadataActor: "ann"}.Encode(),
	}}}}})
	require.NoError(t, err)
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: relay.StorePublisher{
		Store: other, Stream: func(m relay.Message) eventstore.StreamID { return "incoming-" + m.Stream },
	}}
	require.NoError(t, r.CatchUp(t.Context()))
	source := events(t, store)[0]
	got := events(t, other)[0]
	require.EqualValues(t, "incoming-order-1", got.Stream)
	require.Equal(t, "order.placed", got.Type)
	require.Equal(t, 2, got.SchemaVersion)
	require.Equal(t, source.Tags, got.Tags)
	of, err := eventstore.ParseMetadata(got.Metadata)
	require.NoError(t, err)
	require.Equal(t, eventstore.Metadata{
		eventstore.MetadataCorrelationID: "c-1", eventstore.MetadataActor: "ann", eventstore.MetadataCausationID: source.ID.String(),
		relay.MetadataSourceStream: "order-1", relay.MetadataSourceVersion: "1", relay.MetadataSourcePosition: strconv.Itoa(int(receipt.Token.Position)),
	}, of)
}

func TestAStreamThatWasDeletedInTheOtherStoreIsADeadLetter(t *testing.T) {
	store, other := filled(t, "order-1", "order-2", "order-1"), memory.NewStore()
	r := relay.Relay{Name: "orders", Log: store, Sink: memory.NewSink(), Publisher: relay.StorePublisher{Store: other}}
	_, err := other.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{{Type: "a.b"}}}}})
	require.NoError(t, err)
	_, err = other.DeleteStream(t.Context(), "order-1", eventstore.Any)
	require.NoError(t, err)
	require.NoError(t, r.CatchUp(t.Context()))
	letters, err := r.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Contains(t, letters[0].Cause, eventstore.ErrStreamDeleted.Error())
}
