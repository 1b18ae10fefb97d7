package eventstore_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

func TestEventIDIsAUUIDv7(t *testing.T) {
	for range 1000 {
		before := time.Now().UnixMilli()
		id := eventstore.NewEventID()
		after := time.Now().UnixMilli()
		require.Equal(t, byte(0x70), id[6]&0xf0, "version bits of %s", id)
		require.Equal(t, byte(0x80), id[8]&0xc0, "variant bits of %s", id)
		millis := int64(binary.BigEndian.Uint64(append([]byte{0, 0}, id[:6]...)))
		require.True(t, before <= millis && millis <= after, "time in %s", id)
	}
}

func TestEventIDsMadeLaterSortLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := eventstore.NewEventID()
		for range 100 {
			time.Sleep(time.Millisecond)
			next := eventstore.NewEventID()
			require.Negative(t, bytes.Compare(last[:], next[:]), "%s before %s", last, next)
			require.Less(t, last.String(), next.String())
			last = next
		}
	})
}

func TestEventIDTextRoundTrip(t *testing.T) {
	id := eventstore.NewEventID()
	text, err := json.Marshal(id)
	require.NoError(t, err)
	require.Len(t, text, 36+2)
	var again eventstore.EventID
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, id, again)
	require.Error(t, again.UnmarshalText([]byte("not a UUID")))
	require.True(t, again.IsZero(), "a failed parse leaves nothing behind")
}

func TestTagSplitsAtTheFirstColon(t *testing.T) {
	tag := eventstore.NewTag("url", "http://a:80")
	require.Equal(t, "url", tag.Key())
	require.Equal(t, "http://a:80", tag.Value())
}

func TestMetadataRoundTrip(t *testing.T) {
	m := eventstore.Metadata{eventstore.MetadataCorrelationID: "c", eventstore.MetadataActor: `a"b`, "": "<&>\u2028"}
	require.Regexp(t, `^{"":.*,"actor":.*,"correlation_id":.*}$`, string(m.Encode()), "keys are sorted")
	again, err := eventstore.ParseMetadata(m.Encode())
	require.NoError(t, err)
	require.Equal(t, m, again)

	require.Nil(t, eventstore.Metadata{}.Encode())
	none, err := eventstore.ParseMetadata(nil)
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = eventstore.ParseMetadata([]byte("\x00"))
	require.Error(t, err, "metadata is bytes and need not be in the usual form")
}

func TestRecordedEqualComparesEveryField(t *testing.T) {
	base := func() eventstore.Recorded {
		return eventstore.Recorded{
			EventData: eventstore.EventData{Type: "a", SchemaVersion: 1, Tags: []eventstore.Tag{"k:1"}, Data: []byte("d"), Metadata: []byte("m")},
			Stream:    "order-1", Version: 1, Position: 1, RecordedAt: time.Unix(1, 0),
		}
	}
	require.True(t, base().Equal(base()))
	for what, change := range map[string]func(*eventstore.Recorded){
		"id":             func(r *eventstore.Recorded) { r.ID[0]++ },
		"type":           func(r *eventstore.Recorded) { r.Type = "b" },
		"schema version": func(r *eventstore.Recorded) { r.SchemaVersion++ },
		"tags":           func(r *eventstore.Recorded) { r.Tags = nil },
		"data":           func(r *eventstore.Recorded) { r.Data = []byte("e") },
		"metadata":       func(r *eventstore.Recorded) { r.Metadata = nil },
		"stream":         func(r *eventstore.Recorded) { r.Stream = "order-2" },
		"version":        func(r *eventstore.Recorded) { r.Version++ },
		"position":       func(r *eventstore.Recorded) { r.Position++ },
		"time":           func(r *eventstore.Recorded) { r.RecordedAt = r.RecordedAt.Add(1) },
	} {
		other := base()
		change(&other)
		require.False(t, base().Equal(other), what)
	}
	elsewhere := base()
	elsewhere.RecordedAt = elsewhere.RecordedAt.UTC()
	require.True(t, base().Equal(elsewhere), "times are compared as instants")
}
