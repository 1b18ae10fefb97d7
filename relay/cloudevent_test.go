package relay_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

func TestDataThatIsNoJSONIsInBase64(t *testing.T) {
	for data, want := range map[string]map[string]any{
		`{"a":"<é>"}`: {"datacontenttype": "application/json", "data": map[string]any{"a": "<é>"}},
		`17`:          {"datacontenttype": "application/json", "data": 17.0},
		"\x08\x96":    {"datacontenttype": "application/octet-stream", "data_base64": "CJY="},
		"\"\xff\"":    {"datacontenttype": "application/octet-stream", "data_base64": "Iv8i"},
		"":            {},
	} {
		text, err := relay.Message{Data: []byte(data)}.CloudEvent()
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(text, &got))
		for _, field := range []string{"datacontenttype", "data", "data_base64"} {
			require.Equal(t, want[field], got[field], "%s of %q", field, data)
		}
	}
}

func TestAMessageComesBackFromItsCloudEventByteForByte(t *testing.T) {
	for _, data := range []string{`{"a":"<é>"}`, `{"a": 1.10}`, `17`, `null`, "\x08\x96", "\"\u2028\"", `"\u003c"`, `12345678901234567890`} {
		m := relay.Message{
			ID: "00112233445566778899aabbccddeeff", Key: "k", Source: eventstore.StoreID{1, 2}, Stream: "order-1-a", Version: 7, Position: 70,
			EventID: eventstore.EventID{3, 4}, Type: "order.placed", SchemaVersion: 2, Tags: []eventstore.Tag{"a:b", "c:d"}, Data: []byte(data),
			Metadata:   eventstore.Metadata{eventstore.MetadataCorrelationID: "c", eventstore.MetadataCausationID: "d", eventstore.MetadataActor: "e"},
			RecordedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		}
		text, err := m.CloudEvent()
		require.NoError(t, err)
		got, err := relay.ParseCloudEvent(text)
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
}

func TestWhatIsNoCloudEventOfARelayIsInvalid(t *testing.T) {
	whole, err := relay.Message{
		ID: "00", Source: eventstore.StoreID{1}, Stream: "order-1", Version: 1, Position: 1, Type: "x", RecordedAt: time.Unix(1, 0),
	}.CloudEvent()
	require.NoError(t, err)
	_, err = relay.ParseCloudEvent(whole)
	require.NoError(t, err)
	for _, cut := range []string{"source", "subject", "time", "streamversion", "position", "eventid"} {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(whole, &fields))
		delete(fields, cut)
		text, err := json.Marshal(fields)
		require.NoError(t, err)
		_, err = relay.ParseCloudEvent(text)
		require.ErrorIs(t, err, eventstore.ErrInvalid, "without %s", cut)
	}
	_, err = relay.ParseCloudEvent([]byte("{"))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}
