package host

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

func happens(t *testing.T, what string, in *memory.Store, streams ...eventstore.StreamID) {
	t.Helper()
	for _, stream := range streams {
		_, err := in.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: what, Data: []byte(`{}`)}}}}})
		require.NoError(t, err)
	}
}

// told returns the streams of what a service has in its log when a relay has told it all that it takes, and
// why the rest is left.
func told(t *testing.T, source, there *memory.Store, own ...string) (streams []eventstore.StreamID, left []relay.DeadLetter) {
	t.Helper()
	bus := command.NewBus(command.Recover(), command.Validate(), command.Retry(3))
	hear(bus, there, own)
	server := httptest.NewServer(httpapi.Commands(bus, httpapi.Options{}))
	defer server.Close()
	r := relay.Relay{Name: "to_there", Log: source, Sink: memory.NewSink(), Publisher: listener{&httpapi.Client{URL: server.URL}}}
	require.NoError(t, r.CatchUp(t.Context()))
	left, err := r.DeadLetters(t.Context())
	require.NoError(t, err)
	reading, err := there.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types("order.placed")})
	require.NoError(t, err)
	for m, err := range reading.Events() {
		require.NoError(t, err)
		streams = append(streams, m.Stream)
	}
	return streams, left
}

// Both streams are told in one request. What comes behind the refused event in its stream waits for people.
func TestAnEventThatAListenerRefusesHoldsUpNoOtherStream(t *testing.T) {
	source, there := memory.NewStore(), memory.NewStore()
	happens(t, "order.noted", there, "order-deleted")
	_, err := there.DeleteStream(t.Context(), "order-deleted", eventstore.Any)
	require.NoError(t, err)
	happens(t, "order.placed", source, "order-deleted", "order-a", "order-deleted", "order-b", "order-a")

	streams, left := told(t, source, there)
	require.ElementsMatch(t, []eventstore.StreamID{"order-a", "order-b", "order-a"}, streams)
	require.Len(t, left, 1)
	require.EqualValues(t, 1, left[0].Event.Position)
	require.Equal(t, "order-deleted", left[0].Key)
}

// The order service is the only one that says an order was placed.
func TestAServiceIsNotToldWhatItDecidesItself(t *testing.T) {
	source, there := memory.NewStore(), memory.NewStore()
	happens(t, "order.placed", source, "order-a")
	streams, left := told(t, source, there, "order.placed")
	require.Empty(t, streams)
	require.Len(t, left, 1)
	require.Contains(t, left[0].Cause, "the service decides on it itself")
}
