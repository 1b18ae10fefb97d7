package eventstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

func request(stream eventstore.StreamID, events ...eventstore.EventData) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: events}}}
}

func TestPrepareFillsDefaultsOnceAndInACopy(t *testing.T) {
	given := request("order-1", eventstore.EventData{Type: "placed"})
	prepared, err := given.Prepare(eventstore.Limits{})
	require.NoError(t, err)
	e := prepared.Writes[0].Events[0]
	require.False(t, e.ID.IsZero())
	require.Equal(t, 1, e.SchemaVersion)
	require.Zero(t, given.Writes[0].Events[0].ID, "the request is not changed")

	again, err := prepared.Prepare(eventstore.Limits{})
	require.NoError(t, err)
	require.Equal(t, prepared, again, "a retry writes the same events")
}

func TestPrepareNamesTheStreamAndTheEvent(t *testing.T) {
	_, err := request("order-1", eventstore.EventData{Type: "a"}, eventstore.EventData{}).Prepare(eventstore.Limits{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "order-1")
	require.ErrorContains(t, err, "event 2")
}

func TestPrepareHoldsToTheChosenLimit(t *testing.T) {
	e := eventstore.EventData{Type: "a", Data: make([]byte, 8), Metadata: make([]byte, 3)}
	_, err := request("order-1", e).Prepare(eventstore.Limits{EventBytes: 11})
	require.NoError(t, err)
	_, err = request("order-1", e).Prepare(eventstore.Limits{EventBytes: 10})
	var limit *eventstore.LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, 11, limit.Size)
	require.Equal(t, 10, limit.Limit)
}

func TestAHostileNameDoesNotFillTheLog(t *testing.T) {
	_, err := request(eventstore.StreamID(strings.Repeat("\x1b", 250))).Prepare(eventstore.Limits{})
	require.Error(t, err)
	require.Less(t, len(err.Error()), 500)
	require.NotContains(t, err.Error(), "\x1b")
}

// TestPrepareAcceptsExactlyTheLegal makes requests with at most one thing wrong.
func TestPrepareAcceptsExactlyTheLegal(t *testing.T) {
	wrongs := map[string]func(*eventstore.AppendRequest){
		"stream":         func(r *eventstore.AppendRequest) { r.Writes[0].Stream = "nodash" },
		"stream twice":   func(r *eventstore.AppendRequest) { r.Writes = append(r.Writes, r.Writes[0]) },
		"version":        func(r *eventstore.AppendRequest) { r.Writes[0].Expected = eventstore.Exactly(-3) },
		"type":           func(r *eventstore.AppendRequest) { r.Writes[0].Events[0].Type = "$mine" },
		"tag":            func(r *eventstore.AppendRequest) { r.Writes[0].Events[0].Tags = []eventstore.Tag{"x"} },
		"tag twice":      func(r *eventstore.AppendRequest) { r.Writes[0].Events[0].Tags = []eventstore.Tag{"x:1", "x:1"} },
		"schema version": func(r *eventstore.AppendRequest) { r.Writes[0].Events[0].SchemaVersion = -1 },
		"condition":      func(r *eventstore.AppendRequest) { r.Condition = &eventstore.Condition{After: -1} },
		"no events":      func(r *eventstore.AppendRequest) { r.Writes = nil },
	}
	for range 300 {
		legal := randomRequest()
		_, err := legal.Prepare(eventstore.Limits{})
		require.NoError(t, err, "%+v", legal)
		for what, spoil := range wrongs {
			spoiled := randomRequest()
			spoil(&spoiled)
			_, err := spoiled.Prepare(eventstore.Limits{})
			require.ErrorIs(t, err, eventstore.ErrInvalid, what)
		}
	}
}

func randomRequest() eventstore.AppendRequest {
	var r eventstore.AppendRequest
	for w := range 1 + rand.IntN(4) {
		write := eventstore.Write{Stream: eventstore.NewStreamID("order", fmt.Sprint(w)), Expected: eventstore.Exactly(eventstore.Version(rand.IntN(3)))}
		for range 1 + rand.IntN(3) {
			e := eventstore.EventData{Type: "a", SchemaVersion: rand.IntN(3), Data: make([]byte, rand.IntN(20))}
			for n := range rand.IntN(4) {
				e.Tags = append(e.Tags, eventstore.NewTag("k", fmt.Sprint(n)))
			}
			write.Events = append(write.Events, e)
		}
		r.Writes = append(r.Writes, write)
	}
	return r
}

// FuzzPrepare: what is accepted can be stored, shown and read back by any adapter;
// what is refused says so by one of two errors.
func FuzzPrepare(f *testing.F) {
	f.Add("order-1", "placed", "k:v", []byte("{}"), 1)
	f.Add("-", "$", ":", []byte(nil), 0)
	f.Add("order-\xff", "\x00", "a:\u202e", []byte("\x00"), 1<<20)
	f.Fuzz(func(t *testing.T, stream, name, tag string, data []byte, schema int) {
		e := eventstore.EventData{Type: name, Tags: []eventstore.Tag{eventstore.Tag(tag)}, Data: data, SchemaVersion: schema}
		prepared, err := request(eventstore.StreamID(stream), e).Prepare(eventstore.Limits{})
		if err != nil {
			invalid, tooLarge := &eventstore.InvalidError{}, &eventstore.LimitError{}
			require.True(t, errors.As(err, &invalid) || errors.As(err, &tooLarge), "error %v", err)
			return
		}
		w := prepared.Writes[0]
		require.NoError(t, w.Stream.Validate())
		require.NotEmpty(t, w.Stream.Category())
		require.NotEmpty(t, w.Stream.ID())
		require.Equal(t, w.Stream, eventstore.NewStreamID(w.Stream.Category(), w.Stream.ID()))
		require.LessOrEqual(t, max(len(stream), len(name), len(tag)), eventstore.MaxNameBytes)
		require.Positive(t, w.Events[0].SchemaVersion)
		require.False(t, strings.ContainsAny(stream+name+tag, "\x00\n\r\x1b\u202e\u2028"))
		require.Equal(t, data, w.Events[0].Data)
	})
}
