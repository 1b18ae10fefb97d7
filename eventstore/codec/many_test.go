package codec_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// A till's events over the years. Version 1 of "till.sold" told what was paid, too, and one event
// stood for a whole basket.
type (
	tillEvent interface{ till() }

	basketV1 struct {
		Items []string `json:"items"`
		Cents int64    `json:"cents"`
	}
	soldV2 struct{ Item string }
	sold   struct {
		Item   string
		Labels []string
	}
	received struct{ Cents int64 }
)

func (sold) till()     {}
func (received) till() {}

func soldV2toV3(old soldV2) (sold, error) { return sold{Item: old.Item}, nil }

var receivedEvent = codec.Event[received]("till.received")

// basket gives several events of the next version, and one of another type.
func basket(old basketV1) ([]any, error) {
	var events []any
	for _, item := range old.Items {
		events = append(events, soldV2{item})
	}
	if old.Cents > 0 {
		events = append(events, received{old.Cents})
	}
	return events, nil
}

func TestAnOldEventMayStandForSeveralOrForNone(t *testing.T) {
	set := mustSet(t, receivedEvent, codec.Event[sold]("till.sold", codec.Version(3),
		codec.UpcastEach(1, basket), codec.Upcast(2, soldV2toV3)))
	for payload, want := range map[string][]any{
		`{"items":["cup","lamp"],"cents":500}`: {sold{Item: "cup"}, sold{Item: "lamp"}, received{500}},
		`{"items":["cup"]}`:                    {sold{Item: "cup"}},
		`{"cents":500}`:                        {received{500}},
		`{}`:                                   nil,
	} {
		events, err := set.Decode(at(1, "till.sold", 1, payload))
		require.NoError(t, err)
		assert.Equal(t, want, events, payload)
	}
	events, err := set.Decode(at(1, "till.sold", 2, `{"Item":"cup"}`))
	require.NoError(t, err)
	assert.Equal(t, []any{sold{Item: "cup"}}, events)
}

func TestAnEventThatIsNotWrittenAnyMore(t *testing.T) {
	set := mustSet(t, receivedEvent, codec.Event[sold]("till.sold"),
		codec.Retired("till.opened", codec.Drop(1)),
		codec.Retired("till.paid", codec.Version(2), // the name was changed
			codec.Upcast(1, func(old struct{ Pounds int64 }) (basketV1, error) { return basketV1{Cents: 100 * old.Pounds}, nil }),
			codec.Upcast(2, func(old basketV1) (received, error) { return received{old.Cents}, nil })),
		codec.Retired("till.basket", codec.UpcastEach(1, func(old basketV1) ([]tillEvent, error) {
			return []tillEvent{sold{Item: old.Items[0]}, received{old.Cents}}, nil
		})))
	for _, c := range []struct {
		name    string
		version int
		payload string
		want    []any
	}{
		{"till.opened", 1, "nobody looks at it", nil},
		{"till.paid", 1, `{"Pounds":3}`, []any{received{300}}},
		{"till.paid", 2, `{"cents":5}`, []any{received{5}}},
		{"till.basket", 1, `{"items":["cup"],"cents":5}`, []any{sold{Item: "cup"}, received{5}}},
	} {
		events, err := set.Decode(at(1, c.name, c.version, c.payload))
		require.NoError(t, err)
		assert.Equal(t, c.want, events)
	}
	_, err := set.Encode(basketV1{})
	_, typed := errors.AsType[*codec.UnregisteredError](err)
	require.True(t, typed, "what is retired is not written")
	_, err = set.Decode(at(1, "till.paid", 3, `{}`))
	_, typed = errors.AsType[*codec.SchemaVersionError](err)
	require.True(t, typed)

	assert.Equal(t, []codec.EventType{
		{Name: "till.received", GoType: reflect.TypeFor[received](), SchemaVersion: 1, ContentType: "application/json"},
		{Name: "till.sold", GoType: reflect.TypeFor[sold](), SchemaVersion: 1, ContentType: "application/json"},
	}, set.Types())
	assert.Equal(t, []codec.Shape{
		{Type: "till.basket", SchemaVersion: 1, GoType: reflect.TypeFor[basketV1]()},
		{Type: "till.opened", SchemaVersion: 1},
		{Type: "till.paid", SchemaVersion: 1, GoType: reflect.TypeFor[struct{ Pounds int64 }]()},
		{Type: "till.paid", SchemaVersion: 2, GoType: reflect.TypeFor[basketV1]()},
		{Type: "till.received", SchemaVersion: 1, GoType: reflect.TypeFor[received](), Current: true},
		{Type: "till.sold", SchemaVersion: 1, GoType: reflect.TypeFor[sold](), Current: true},
	}, set.Shapes())
}

// Whoever selects events by their type has to select these, or misses some.
func TestASetKnowsUnderWhichNamesAnEventIsStored(t *testing.T) {
	a := mustSet(t, receivedEvent, codec.Event[sold]("till.sold", codec.Version(3),
		codec.UpcastEach(1, basket), codec.Upcast(2, soldV2toV3)),
		codec.Retired("till.viewed", codec.Drop(1)))
	assert.Equal(t, []string{"till.received", "till.sold"}, a.StoredAs("till.received"))
	assert.Equal(t, []string{"till.sold"}, a.StoredAs("till.sold"), "of the values of any it is one")
	assert.Equal(t, []string{"till.received", "till.sold", "lost"}, a.StoredAs("till.received", "till.sold", "lost"))
	assert.Empty(t, a.StoredAs())

	// What an interface stands for depends on what is beside it.
	b := mustSet(t, receivedEvent, codec.Retired("till.basket", codec.UpcastEach(1, func(basketV1) ([]tillEvent, error) { return nil, nil })))
	assert.Equal(t, []string{"till.received", "till.basket"}, b.StoredAs("till.received"))
	merged, err := codec.Merge(a, b)
	require.NoError(t, err)
	assert.Equal(t, []string{"till.sold", "till.basket"}, merged.StoredAs("till.sold"))
}

func TestAMistakeInWhereAnUpcastLeadsIsNamed(t *testing.T) {
	v1, v2 := codec.UpcastEach(1, basket), codec.Upcast(2, soldV2toV3)
	for name, c := range map[string]struct {
		definition codec.Definition
		says       string
	}{
		"a type that is not registered": {
			codec.Event[sold]("a", codec.Version(2), codec.UpcastEach(1, func(basketV1) ([]opened, error) { return nil, nil })),
			`event "a" of type codec_test.sold: the upcast from version 1 returns codec_test.opened, which is neither the shape of version 2 nor an event of the set: add codec.Event[codec_test.opened](…)`,
		},
		"an interface that nothing has": {
			codec.Event[sold]("a", codec.Version(2), codec.UpcastEach(1, func(basketV1) ([]error, error) { return nil, nil })),
			"returns error, which is neither",
		},
		"a retired event that leads nowhere": {codec.Retired("a"), `retired event "a": no step from version 1, the last: say what it is today, or add codec.Drop(1)`},
		"a retired event with a gap":         {codec.Retired("a", codec.Version(2), codec.Drop(2)), "no upcast from version 1 to 2"},
		"a retired event that becomes what nobody knows": {
			codec.Retired("a", codec.Upcast(1, func(basketV1) (opened, error) { return opened{}, nil })), "neither the shape of version 2 nor an event of the set",
		},
		"an upcast to what is dropped": {
			codec.Event[sold]("a", codec.Version(3), codec.Upcast(1, func(basketV1) (soldV2, error) { return soldV2{}, nil }), codec.Drop(2)),
			"leads to version 2, which is dropped: add codec.Drop(1) in its place",
		},
		"dropped and upcast":          {codec.Event[sold]("a", codec.Version(3), v1, codec.Drop(1), v2), "two upcasts from version 1"},
		"a drop of what is written":   {codec.Event[sold]("a", codec.Drop(1)), "an upcast from version 1, but the current version is 1"},
		"no function":                 {codec.Event[sold]("a", codec.Version(2), codec.UpcastEach[basketV1, sold](1, nil)), "the upcast from version 1 has no function"},
		"tags of what is not written": {codec.Retired("a", codec.Drop(1), codec.Tags(func(opened) []eventstore.Tag { return nil })), "Tags takes codec_test.opened, the event is retired"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := codec.NewSet(c.definition)
			assert.ErrorContains(t, err, c.says)
		})
	}
	_, err := codec.NewSet(codec.Retired("a", codec.Drop(1)), codec.Event[sold]("a"))
	require.ErrorContains(t, err, `event "a" has two types: retired and codec_test.sold`)
}

func TestAnUpcastThatReturnsWhatNobodyKnowsIsADecodeError(t *testing.T) {
	for says, value := range map[string]any{
		"an upcast returned codec_test.opened, which is no event of the set":   opened{},
		"an upcast returned *codec_test.sold, which is no event of the set":    &sold{},
		"an upcast returned nil, which is no event of the set":                 nil,
		"an upcast returned codec_test.basketV1, which is no event of the set": basketV1{},
	} {
		set := mustSet(t, codec.Event[sold]("till.sold", codec.Version(2), codec.UpcastEach(1, func(basketV1) ([]any, error) {
			return []any{sold{Item: "cup"}, value}, nil
		})))
		events, err := set.Decode(at(1, "till.sold", 1, `{}`))
		assert.ErrorContains(t, err, says)
		assert.Empty(t, events, "a part of an event is none")
	}
}

func TestAnUpcastOfSeveralThatFailsOrPanicsGivesNone(t *testing.T) {
	boom := errors.New("boom")
	for name, upcast := range map[string]func(old soldV2) (sold, error){
		"fails":  func(soldV2) (sold, error) { return sold{}, boom },
		"panics": func(soldV2) (sold, error) { panic(boom) },
	} {
		set := mustSet(t, receivedEvent, codec.Event[sold]("till.sold", codec.Version(3),
			codec.UpcastEach(1, basket), codec.Upcast(2, upcast)))
		events, err := set.Decode(at(7, "till.sold", 1, `{"items":["cup"],"cents":5}`))
		require.ErrorIs(t, err, boom, name)
		require.ErrorContains(t, err, "decode event till.sold (schema version 1) at position 7")
		assert.Empty(t, events)
		_, panicked := errors.AsType[*codec.PanicError](err)
		assert.Equal(t, name == "panics", panicked)
	}
}

// Rows of two segments are folded at the same time. If two values shared a slice, one would see
// what a fold does to the other.
func TestValuesOfOneEventShareNothing(t *testing.T) {
	set := mustSet(t, codec.Event[sold]("till.sold", codec.Version(2), codec.UpcastEach(1, func(old basketV1) ([]sold, error) {
		return []sold{{"a", old.Items[:1]}, {"b", old.Items[1:]}, {"c", old.Items}}, nil
	})))
	events, err := set.Decode(at(1, "till.sold", 1, `{"items":["x","y"]}`))
	require.NoError(t, err)
	first := events[0].(sold)
	_ = append(first.Labels, "z") // would be where the second one's label is
	first.Labels[0] = "z"
	assert.Equal(t, []any{sold{"b", []string{"y"}}, sold{"c", []string{"x", "y"}}}, events[1:])
}

func TestACopyOfAnEventIsWhatAStoreWouldGiveBack(t *testing.T) {
	set := mustSet(t, codec.Event[sold]("till.sold"), codec.Event[moody]("moody"))
	event := sold{"cup", []string{"x"}}
	fresh, err := set.Copy(event)
	require.NoError(t, err)
	event.Labels[0] = "y"
	assert.Equal(t, sold{"cup", []string{"x"}}, fresh)

	_, err = set.Copy(opened{})
	require.ErrorContains(t, err, "not registered")
	_, err = set.Copy(moody{When: "marshal"})
	require.ErrorIs(t, err, errMood)
}
