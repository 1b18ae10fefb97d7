package codec_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// An order's placement as it was stored over the years.
type (
	placedV1 struct {
		Customer string `json:"customer"`
		Total    string `json:"total"` // "12.50"
	}
	placedV2 struct {
		Customer string `json:"customer"`
		Cents    int64  `json:"cents"`
	}
	placed struct {
		CustomerID string `json:"customer_id"`
		Cents      int64  `json:"cents"`
		Currency   string `json:"currency"`
	}
)

func placedV1toV2(old placedV1) (placedV2, error) {
	cents, err := strconv.ParseInt(strings.Replace(old.Total, ".", "", 1), 10, 64)
	return placedV2{Customer: old.Customer, Cents: cents}, err
}

func placedV2toV3(old placedV2) (placed, error) {
	return placed{CustomerID: old.Customer, Cents: old.Cents, Currency: "EUR"}, nil
}

var placedEvent = codec.Event[placed]("order.placed", codec.Version(3),
	codec.Upcast(1, placedV1toV2),
	codec.Upcast(2, placedV2toV3))

// The golden files are payloads as past builds wrote them. They are never edited.
func TestEveryStoredShapeBecomesTheCurrentOne(t *testing.T) {
	set := mustSet(t, placedEvent)
	for version := 1; version <= 3; version++ {
		payload, err := os.ReadFile(filepath.Join("testdata", "order.placed.v"+strconv.Itoa(version)+".json"))
		require.NoError(t, err)
		events, err := set.Decode(recorded(eventstore.EventData{Type: "order.placed", SchemaVersion: version, Data: payload}))
		require.NoError(t, err)
		assert.Equal(t, []any{placed{CustomerID: "17850", Cents: 1250, Currency: "EUR"}}, events, "version %d", version)
	}
}

func TestTheCurrentVersionIsWritten(t *testing.T) {
	set := mustSet(t, placedEvent)
	data, err := set.Encode(placed{CustomerID: "17850", Cents: 1250, Currency: "EUR"})
	require.NoError(t, err)
	golden, err := os.ReadFile(filepath.Join("testdata", "order.placed.v3.json"))
	require.NoError(t, err)
	assert.Equal(t, 3, data.SchemaVersion)
	assert.Equal(t, strings.TrimSpace(string(golden)), string(data.Data))
}

func TestAnUpcastThatFailsOrPanicsIsADecodeError(t *testing.T) {
	boom := errors.New("boom")
	for name, upcast := range map[string]func(placedV2) (placed, error){
		"fails":            func(placedV2) (placed, error) { return placed{}, boom },
		"panics":           func(placedV2) (placed, error) { panic(boom) },
		"fails, not first": nil, // version 1 reaches the failing step over a good one
	} {
		version := 2
		if upcast == nil {
			version, upcast = 1, func(placedV2) (placed, error) { return placed{}, boom }
		}
		t.Run(name, func(t *testing.T) {
			set := mustSet(t, codec.Event[placed]("order.placed", codec.Version(3),
				codec.Upcast(1, placedV1toV2), codec.Upcast(2, upcast)))
			_, err := set.Decode(recorded(eventstore.EventData{
				Type: "order.placed", SchemaVersion: version, Data: []byte(`{"total":"1.00"}`),
			}))
			require.ErrorIs(t, err, boom)
			e, typed := errors.AsType[*codec.DecodeError](err)
			require.True(t, typed)
			assert.Equal(t, version, e.SchemaVersion, "the stored version, not the step's")
		})
	}
}

func TestAChainOfUpcastsHasNoGaps(t *testing.T) {
	v1, v2 := codec.Upcast(1, placedV1toV2), codec.Upcast(2, placedV2toV3)
	for name, c := range map[string]struct {
		options []codec.Option
		says    string
	}{
		"none":              {[]codec.Option{codec.Version(2)}, "no upcast from version 1 to 2"},
		"gap at the start":  {[]codec.Option{codec.Version(3), v2}, "no upcast from version 1 to 2"},
		"gap at the end":    {[]codec.Option{codec.Version(3), v1}, "no upcast from version 2 to 3"},
		"given twice":       {[]codec.Option{codec.Version(3), v1, v2, v2}, "two upcasts from version 2"},
		"beyond the end":    {[]codec.Option{codec.Version(1), v1}, "an upcast from version 1, but the current version is 1"},
		"before the start":  {[]codec.Option{codec.Upcast(0, placedV2toV3)}, "an upcast from version 0"},
		"no function":       {[]codec.Option{codec.Version(2), codec.Upcast[placedV2, placed](1, nil)}, "the upcast from version 1 has no function"},
		"types do not meet": {[]codec.Option{codec.Version(3), codec.Upcast(1, placedV2toV3), v2}, "the upcast from version 1 returns codec_test.placed, but what the next upcast takes is codec_test.placedV2"},
		"wrong end":         {[]codec.Option{codec.Version(2), v1}, "the upcast from version 1 returns codec_test.placedV2, but the event's type is codec_test.placed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := codec.NewSet(codec.Event[placed]("order.placed", c.options...))
			assert.ErrorContains(t, err, c.says)
		})
	}
}
