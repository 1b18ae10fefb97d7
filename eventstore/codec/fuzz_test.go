package codec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

type everything struct {
	Text  string
	Count int64
	Large uint64
	Share float64
	Bytes []byte
	On    bool
	At    time.Time
	Next  *everything
}

func FuzzAnEncodedEventDecodesToItself(f *testing.F) {
	f.Add("naïve <b> \u2028", int64(-1), uint64(1<<63), 0.1, []byte{0, 255}, true, int64(1e9))
	set, err := codec.NewSet(codec.Event[everything]("everything"))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string, count int64, large uint64, share float64, bytes []byte, on bool, unix int64) {
		event := everything{
			Text:  strings.ToValidUTF8(text, "?"), // JSON holds no other text
			Count: count, Large: large, Share: share, Bytes: bytes, On: on,
			At:   time.Unix(unix%1e10, unix%1e9).UTC(),
			Next: &everything{Bytes: []byte{}},
		}
		data, err := set.Encode(event)
		if share != share || share-share != 0 || event.At.Year() > 9999 || event.At.Year() < 0 {
			return // NaN, infinities and such years are refused by encoding/json
		}
		require.NoError(t, err)
		decoded, err := set.Decode(recorded(data))
		require.NoError(t, err)
		assert.Equal(t, []any{event}, decoded)
	})
}

func FuzzDecodingArbitraryBytesNeverPanics(f *testing.F) {
	f.Add("order.placed", 1, []byte(`{"total":"1.0"}`))
	f.Add("everything", 1, []byte(`{"Next":{"Next":null}}`))
	f.Add("", -1, []byte(nil))
	set, err := codec.NewSet(codec.Event[everything]("everything"), placedEvent)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, name string, version int, data []byte) {
		events, err := set.Decode(recorded(eventstore.EventData{Type: name, SchemaVersion: version, Data: data}))
		assert.Equal(t, err == nil, len(events) == 1)
	})
}
