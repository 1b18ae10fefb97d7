package codec_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/jsonv2"
)

type sale struct {
	ID     string            `json:"id"`
	Count  int64             `json:"count,omitempty"`
	Share  float64           `json:"share,omitempty"`
	Gift   bool              `json:"gift,omitempty"`
	Lines  []line            `json:"lines,omitempty"`
	Hash   [2]byte           `json:"hash"`
	At     time.Time         `json:"at,omitzero"`
	Labels map[string]string `json:"labels,omitempty"`
	Extra  map[string]any    `json:"extra,omitempty"`
}

type line struct {
	Item string `json:"item"`
	Note *bool  `json:"note"`
}

func at(position eventstore.Position, name string, version int, payload string) eventstore.Recorded {
	return eventstore.Recorded{
		EventData: eventstore.EventData{Type: name, SchemaVersion: version, Data: []byte(payload)},
		Stream:    "sale-1", Version: 1, Position: position,
	}
}

func TestWhatAPayloadSaysAndTheTypeDoesNotTakeIsNamed(t *testing.T) {
	v1 := mustSet(t, codec.Event[sale]("sold"))
	v2 := mustSet(t, codec.Event[sale]("sold", codec.In(jsonv2.Format{})))
	for name, c := range map[string]struct{ payload, lost string }{
		"everything is taken":                       {payload: `{"id":"a","count":7,"share":0.5,"gift":true,"lines":[{"item":"x","note":false}],"hash":[1,2],"at":"2026-01-02T03:04:05Z"}`},
		"a field that the type does not have":       {`{"id":"a","discount":5}`, "discount: the type does not take it (5)"},
		"one in a list":                             {`{"lines":[{"item":"x"},{"item":"y","price":{"cents":5}}]}`, `lines[1].price: the type does not take it ({"cents":5})`},
		"one without a value":                       {`{"id":"a","discount":null}`, "discount"},
		"one without a value, deep down":            {`{"lines":[{"item":"x","price":{"cents":0}}]}`, "price"},
		"fields without values that the type has":   {payload: `{"id":"","count":0,"share":0.0,"gift":false,"lines":[],"labels":{},"at":null}`},
		"a whole number beyond a float":             {`{"share":9007199254740993}`, "share: 9007199254740993 comes back as 9007199254740992"},
		"a fraction beyond a float":                 {`{"share":0.12345678901234567890}`, "share: 0.12345678901234567890 comes back as 0.12345678901234568"},
		"a whole number beyond a float, in a map":   {`{"extra":{"big":9007199254740993}}`, "extra.big: 9007199254740993"},
		"a number written another way":              {payload: `{"share":50e-2,"count":7}`},
		"a very small number":                       {payload: `{"share":5E-324}`},
		"a number that is too small":                {`{"share":1e-400}`, "share: the type does not take it (1e-400)"},
		"more elements than the array has":          {`{"hash":[1,2,3]}`, "hash: it has 3 elements, and 2 come back"},
		"fewer elements than the array has":         {payload: `{"hash":[1]}`},
		"a time written another way":                {payload: `{"at":"2026-01-02T03:04:05.500+00:00"}`},
		"a map and the names in it":                 {payload: `{"labels":{"anything":"goes"}}`},
		"a time that is not in the zone it says":    {payload: `{"at":"2026-01-02T05:04:05+02:00"}`},
		"a null where there is a value":             {payload: `{"hash":null,"lines":[{"item":null,"note":null}]}`},
		"two losses, in the order of their names":   {`{"z":1,"a":[1]}`, "a: the type does not take it ([1])"},
		"a long value":                              {`{"z":"0123456789012345678901234567890123456789012345678901234567890123456789"}`, `z: the type does not take it ("01234567890123456789012345678901234567890123456789012345678…)`},
		"a number whose power nobody can work with": {`{"id":"a","z":1e99999999999999999999}`, "z: the type does not take it"},
	} {
		t.Run(name, func(t *testing.T) {
			for format, set := range map[string]*codec.Set{"encoding/json": v1, "jsonv2": v2} {
				losses, err := set.Losses(at(1, "sold", 1, c.payload))
				require.NoError(t, err, format)
				if c.lost == "" {
					assert.Empty(t, losses, format)
					continue
				}
				require.NotEmpty(t, losses, format)
				assert.Contains(t, losses[0].String(), c.lost, format)
			}
		})
	}
}

func TestTheFormatsDifferInWhatTheyLose(t *testing.T) {
	v1 := mustSet(t, codec.Event[sale]("sold"))
	v2 := mustSet(t, codec.Event[sale]("sold", codec.In(jsonv2.Format{})))

	losses, err := v1.Losses(at(1, "sold", 1, `{"ID":"a"}`))
	require.NoError(t, err)
	assert.Empty(t, losses, "encoding/json takes a name in any case")
	losses, err = v2.Losses(at(1, "sold", 1, `{"ID":"a"}`))
	require.NoError(t, err)
	assert.Equal(t, []codec.Loss{{Field: "ID", Why: `the type does not take it ("a")`}}, losses)

	losses, err = v1.Losses(at(1, "sold", 1, "{\"id\":\"\xff\"}"))
	require.NoError(t, err)
	assert.Equal(t, []codec.Loss{{Why: "it holds text that is not UTF-8, which comes back as U+FFFD"}}, losses)
	_, err = v2.Losses(at(1, "sold", 1, "{\"id\":\"\xff\"}"))
	require.ErrorContains(t, err, "invalid UTF-8")
}

// What an upcast leaves out it leaves out on purpose.
func TestAnOldEventIsComparedWithItsOwnShape(t *testing.T) {
	set := mustSet(t, placedEvent, codec.Retired("order.viewed", codec.Drop(1)))
	for payload, lost := range map[string]int{`{"customer":"a","total":"1.00"}`: 0, `{"customer":"a","total":"1.00","note":"x"}`: 1} {
		losses, err := set.Losses(at(1, "order.placed", 1, payload))
		require.NoError(t, err)
		assert.Len(t, losses, lost)
	}
	losses, err := set.Losses(at(1, "order.viewed", 1, "not even JSON"))
	require.NoError(t, err)
	assert.Empty(t, losses)
}

// plainFormat is a format without optional powers.
type plainFormat struct{ codec.Format }

func TestLossesOfWhatCannotBeRead(t *testing.T) {
	set := mustSet(t, codec.Event[sale]("sold"), codec.Event[moody]("moody"),
		codec.Event[opened]("opened", codec.In(plainFormat{jsonv2.Format{}})))
	_, err := set.Losses(at(1, "sold", 1, `{`))
	_, typed := errors.AsType[*codec.DecodeError](err)
	require.True(t, typed)
	_, err = set.Losses(at(1, "moody", 1, `{}`))
	require.ErrorIs(t, err, errMood)
	_, err = set.Losses(at(1, "lost", 1, `{}`))
	require.ErrorIs(t, err, codec.ErrUnknownType)
	_, err = set.Losses(at(1, "opened", 1, `{}`))
	require.ErrorIs(t, err, codec.ErrLossUnknown)
}
