package codec_test

import (
	"errors"
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

// What is decoded is one event, but of till.sold in version 1, which stands for any number; and a
// panic, which is an error, is none that we know of.
func FuzzDecodingArbitraryBytesNeverPanics(f *testing.F) {
	f.Add("order.placed", 1, []byte(`{"total":"1.0"}`))
	f.Add("order.placed", 2, []byte(`{"customer":"a","cents":5,"note":null}`))
	f.Add("everything", 1, []byte(`{"Next":{"Next":null},"Share":1e-400}`))
	f.Add("till.sold", 1, []byte(`{"items":["cup","lamp"],"cents":500}`))
	f.Add("till.viewed", 1, []byte(`not JSON`))
	f.Add("", -1, []byte(nil))
	set, err := codec.NewSet(codec.Event[everything]("everything"), placedEvent, receivedEvent,
		codec.Event[sold]("till.sold", codec.Version(3), codec.UpcastEach(1, basket), codec.Upcast(2, soldV2toV3)),
		codec.Retired("till.viewed", codec.Drop(1)))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, name string, version int, data []byte) {
		stored := recorded(eventstore.EventData{Type: name, SchemaVersion: version, Data: data})
		events, err := set.Decode(stored)
		if !strings.HasPrefix(name, "till.") || version > 1 {
			assert.Equal(t, err == nil, len(events) == 1)
		}
		_, lossErr := set.Losses(stored)
		for _, err := range []error{err, lossErr} {
			_, panicked := errors.AsType[*codec.PanicError](err)
			assert.False(t, panicked, "%v", err)
		}
	})
}
