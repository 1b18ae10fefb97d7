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

type (
	opened    struct{ Owner string }
	deposited struct {
		Cents int64  `json:"cents"`
		Note  string `json:"note,omitempty"`
	}
)

func mustSet(t testing.TB, definitions ...codec.Definition) *codec.Set {
	t.Helper()
	set, err := codec.NewSet(definitions...)
	require.NoError(t, err)
	return set
}

// recorded is the event as it would lie in a store.
func recorded(data eventstore.EventData) eventstore.Recorded {
	return eventstore.Recorded{EventData: data, Stream: "account-1", Version: 3, Position: 7}
}

func TestAnEventComesBackAsAValueOfItsType(t *testing.T) {
	set := mustSet(t, codec.Event[opened]("account.opened"), codec.Event[deposited]("account.deposited"))

	data, err := set.Encode(deposited{Cents: 5, Note: "<hi>"})
	require.NoError(t, err)
	assert.Equal(t, "account.deposited", data.Type)
	assert.Equal(t, 1, data.SchemaVersion)

	events, err := set.Decode(recorded(data))
	require.NoError(t, err)
	assert.Equal(t, []any{deposited{Cents: 5, Note: "<hi>"}}, events)
}

func TestTagsAreComputedWhenTheEventIsEncoded(t *testing.T) {
	set := mustSet(t, codec.Event[opened]("account.opened", codec.Tags(func(e opened) []eventstore.Tag {
		return []eventstore.Tag{eventstore.NewTag("owner", e.Owner)}
	})))
	data, err := set.Encode(opened{Owner: "ada"})
	require.NoError(t, err)
	assert.Equal(t, []eventstore.Tag{"owner:ada"}, data.Tags)
}

func TestASetKnowsItsTypes(t *testing.T) {
	set := mustSet(t, codec.Event[opened]("account.opened"), codec.Event[deposited]("account.deposited"))
	assert.Equal(t, []codec.EventType{
		{Name: "account.deposited", GoType: reflect.TypeFor[deposited](), SchemaVersion: 1, ContentType: "application/json"},
		{Name: "account.opened", GoType: reflect.TypeFor[opened](), SchemaVersion: 1, ContentType: "application/json"},
	}, set.Types())

	name, found := codec.NameOf[opened](set)
	assert.True(t, found)
	assert.Equal(t, "account.opened", name)
	_, found = codec.NameOf[*opened](set)
	assert.False(t, found)
}

func TestAMistakeInASetIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		definitions []codec.Definition
		says        []string
	}{
		"a name with two types": {
			[]codec.Definition{codec.Event[opened]("a"), codec.Event[deposited]("a")},
			[]string{`"a" has two types`, "codec_test.opened", "codec_test.deposited"},
		},
		"a type with two names": {
			[]codec.Definition{codec.Event[opened]("a"), codec.Event[opened]("b")},
			[]string{"codec_test.opened has two event names", `"a"`, `"b"`},
		},
		"an event twice": {
			[]codec.Definition{codec.Event[opened]("a"), codec.Event[opened]("a")},
			[]string{`"a"`, "defined twice"},
		},
		"several mistakes at once": {
			[]codec.Definition{codec.Event[opened](""), codec.Event[deposited]("$x")},
			[]string{"it is empty", "the store's own"},
		},
		"a pointer type":   {[]codec.Definition{codec.Event[*opened]("a")}, []string{"*codec_test.opened is not a value type"}},
		"an interface":     {[]codec.Definition{codec.Event[error]("a")}, []string{"error is not a value type"}},
		"version 0":        {[]codec.Definition{codec.Event[opened]("a", codec.Version(0))}, []string{"schema version 0"}},
		"a huge version":   {[]codec.Definition{codec.Event[opened]("a", codec.Version(1<<15))}, []string{"schema version 32768"}},
		"nil tags":         {[]codec.Definition{codec.Event[opened]("a", codec.Tags[opened](nil))}, []string{"Tags has no function"}},
		"no format":        {[]codec.Definition{codec.Event[opened]("a", codec.In(nil))}, []string{"the format of In is <nil>"}},
		"an empty literal": {[]codec.Definition{{}}, []string{"empty Definition"}},
		"tags of another type": {
			[]codec.Definition{codec.Event[opened]("a", codec.Tags(func(deposited) []eventstore.Tag { return nil }))},
			[]string{`event "a"`, "Tags takes codec_test.deposited, the event is codec_test.opened"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := codec.NewSet(c.definitions...)
			require.Error(t, err)
			for _, text := range c.says {
				assert.ErrorContains(t, err, text)
			}
		})
	}
}

func TestMergeTakesTheSameDefinitionTwice(t *testing.T) {
	tagged := codec.Event[opened]("account.opened", codec.Tags(func(opened) []eventstore.Tag { return nil }))
	a := mustSet(t, tagged, codec.Event[deposited]("account.deposited"))
	b := mustSet(t, tagged, codec.Event[deposited]("account.deposited"))

	merged, err := codec.Merge(a, b)
	require.NoError(t, err)
	assert.Len(t, merged.Types(), 2)
}

func TestMergeRefusesDefinitionsThatDiffer(t *testing.T) {
	tags := codec.Tags(func(opened) []eventstore.Tag { return nil })
	a := mustSet(t, codec.Event[opened]("account.opened", tags))
	for text, b := range map[string]*codec.Set{
		"defined twice":       mustSet(t, codec.Event[opened]("account.opened")),
		"has two types":       mustSet(t, codec.Event[deposited]("account.opened")),
		"has two event names": mustSet(t, codec.Event[opened]("account.created")),
	} {
		_, err := codec.Merge(a, b)
		assert.ErrorContains(t, err, text)
	}
}

func TestAnUnregisteredValueIsNotEncoded(t *testing.T) {
	set := mustSet(t, codec.Event[opened]("account.opened"))
	for text, event := range map[string]any{
		`add codec.Event[codec_test.deposited]("…")`:     deposited{},
		"a pointer; account.opened events are values of": &opened{},
		`*codec_test.deposited is not registered`:        &deposited{},
		"it is nil": nil,
	} {
		_, err := set.Encode(event)
		assert.ErrorContains(t, err, text)
		_, typed := errors.AsType[*codec.UnregisteredError](err)
		assert.True(t, typed)
	}
}

func TestAnUndecodableEventSaysWhereItIs(t *testing.T) {
	set := mustSet(t, codec.Event[opened]("account.opened"))

	t.Run("unknown type", func(t *testing.T) {
		_, err := set.Decode(recorded(eventstore.EventData{Type: "account.closed", SchemaVersion: 1}))
		require.ErrorIs(t, err, codec.ErrUnknownType)
		assert.EqualError(t, err, `event at position 7 of account-1 has type "account.closed", which this build does not know: `+
			`register it with codec.Event[T]("account.closed"), or deploy the newer version that wrote it`)
	})
	t.Run("newer schema version", func(t *testing.T) {
		_, err := set.Decode(recorded(eventstore.EventData{Type: "account.opened", SchemaVersion: 2, Data: []byte(`{}`)}))
		e, typed := errors.AsType[*codec.SchemaVersionError](err)
		require.True(t, typed)
		assert.Equal(t, 1, e.Known)
		assert.ErrorContains(t, err, "newer build")
	})
	t.Run("schema version 0", func(t *testing.T) {
		_, err := set.Decode(recorded(eventstore.EventData{Type: "account.opened", Data: []byte(`{}`)}))
		assert.ErrorContains(t, err, "versions start at 1")
	})
	t.Run("broken payload", func(t *testing.T) {
		_, err := set.Decode(recorded(eventstore.EventData{Type: "account.opened", SchemaVersion: 1, Data: []byte(`{"Owner":1}`)}))
		e, typed := errors.AsType[*codec.DecodeError](err)
		require.True(t, typed)
		assert.Equal(t, eventstore.Version(3), e.Version)
		assert.ErrorContains(t, err, "decode event account.opened (schema version 1) at position 7, version 3 of account-1: json: ")
	})
}

// moody panics wherever a user's code may.
type moody struct{ When string }

var errMood = errors.New("bad mood")

func (m moody) MarshalJSON() ([]byte, error) {
	if m.When == "marshal" {
		panic(errMood)
	}
	return []byte(`{}`), nil
}

func (m *moody) UnmarshalJSON([]byte) error { panic(errMood) }

func TestAPanicInUserCodeIsAnError(t *testing.T) {
	set := mustSet(t, codec.Event[moody]("moody", codec.Tags(func(m moody) []eventstore.Tag {
		panic("no tags for " + m.When)
	})))
	_, err := set.Encode(moody{When: "marshal"})
	require.ErrorIs(t, err, errMood)
	_, err = set.Encode(moody{When: "tag"})
	require.ErrorContains(t, err, "encode event moody: panic: no tags for tag")
	_, err = set.Decode(recorded(eventstore.EventData{Type: "moody", SchemaVersion: 1, Data: []byte(`{}`)}))
	require.ErrorIs(t, err, errMood)
}
