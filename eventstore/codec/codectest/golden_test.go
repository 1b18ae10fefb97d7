package codectest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/codectest"
)

type (
	soldV1 struct{ Name string }
	sold   struct {
		Item  string
		Cents int64 `json:",omitempty"`
	}
	renamed struct {
		Thing string
		Cents int64 `json:",omitempty"`
	}
	paid struct{ Cents int64 }
)

func upcast(old soldV1) (sold, error) { return sold{Item: old.Name}, nil }

func set(t testing.TB, definitions ...codec.Definition) *codec.Set {
	t.Helper()
	events, err := codec.NewSet(definitions...)
	require.NoError(t, err)
	return events
}

// told notes what a golden test says about a program that has changed.
type told struct {
	testing.TB

	errors []string
}

func (s *told) Helper()             {}
func (s *told) Logf(string, ...any) {}
func (s *told) Error(args ...any)   { s.errors = append(s.errors, fmt.Sprint(args...)) }
func (s *told) Errorf(format string, args ...any) {
	s.errors = append(s.errors, fmt.Sprintf(format, args...))
}

func golden(events *codec.Set, dir string, examples ...codectest.Example) []string {
	var s told
	codectest.Golden(&s, events, dir, examples...)
	return s.errors
}

// dir returns a directory with the golden files of a program with two versions of till.sold.
func dir(t *testing.T) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "events")
	require.NoError(t, os.Mkdir(at, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(at, "till.sold.v1.json"), []byte("{\"Name\":\"cup\"}\n"), 0o644))
	t.Setenv(codectest.WriteEnv, "1")
	require.Empty(t, golden(now(t), at, examples...))
	t.Setenv(codectest.WriteEnv, "")
	return at
}

func now(t testing.TB) *codec.Set {
	return set(t, codec.Event[sold]("till.sold", codec.Version(2), codec.Upcast(1, upcast)), codec.Event[paid]("till.paid"))
}

var examples = []codectest.Example{{Event: sold{Item: "lamp"}}, {Name: "dear", Event: sold{"lamp", 900}}, {Event: paid{5}}}

func TestWhatIsMissingIsWrittenOnRequest(t *testing.T) {
	at := dir(t)
	entries, err := os.ReadDir(at)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{
		"till.paid.v1.decoded", "till.paid.v1.json",
		"till.sold.v1.decoded", "till.sold.v1.json",
		"till.sold.v2.dear.decoded", "till.sold.v2.dear.json",
		"till.sold.v2.decoded", "till.sold.v2.json",
	}, names)
	decoded, err := os.ReadFile(filepath.Join(at, "till.sold.v1.decoded"))
	require.NoError(t, err)
	assert.Equal(t, "till.sold v2 {\"Item\":\"cup\"}\n", string(decoded))
	assert.Empty(t, golden(now(t), at, examples...), "a program that has not changed passes")
}

// Each of these programs would be noticed in production first.
func TestAProgramThatHasChangedFails(t *testing.T) {
	sale := func(options ...codec.Option) codec.Definition {
		return codec.Event[sold]("till.sold", append([]codec.Option{codec.Version(2)}, options...)...)
	}
	payment := codec.Event[paid]("till.paid")
	for name, c := range map[string]struct {
		events   []codec.Definition
		examples []codectest.Example
		says     []string
	}{
		"its shape has changed without a new version": {
			[]codec.Definition{codec.Event[renamed]("till.sold", codec.Version(2), codec.Upcast(1, func(old soldV1) (renamed, error) { return renamed{Thing: old.Name}, nil })), payment},
			[]codectest.Example{{Event: renamed{Thing: "lamp"}}, {Event: paid{5}}},
			[]string{"till.sold.v2 has changed without a new schema version.", `{"Thing":"lamp"}`, "codec.Version(3) and codec.Upcast(2, …)", "If version 2 has never been written", "remove the file"},
		},
		"it has taken a field out": {
			[]codec.Definition{codec.Event[struct{ Item string }]("till.sold", codec.Version(2), codec.Upcast(1, func(soldV1) (struct{ Item string }, error) { return struct{ Item string }{"cup"}, nil })), payment},
			[]codectest.Example{{Event: struct{ Item string }{"lamp"}}, {Event: paid{5}}},
			[]string{"till.sold.v2.dear.json loses something when it is decoded: Cents: the type does not take it (900)"},
		},
		"an upcast has changed": {
			[]codec.Definition{sale(codec.Upcast(1, func(old soldV1) (sold, error) { return sold{Item: "a " + old.Name}, nil })), payment}, examples,
			[]string{"till.sold.v1.json is decoded as", `till.sold v2 {"Item":"a cup"}`, "and it was", codectest.WriteEnv + "=1"},
		},
		"an upcast fails": {
			[]codec.Definition{sale(codec.Upcast(1, func(soldV1) (sold, error) { return sold{}, os.ErrInvalid })), payment}, examples,
			[]string{"till.sold.v1.json: decode event till.sold (schema version 1)"},
		},
		"an event was removed": {
			[]codec.Definition{sale(codec.Upcast(1, upcast))}, examples[:2],
			[]string{"till.paid.v1.json is of an event or schema version that the set does not know", "codec.Retired"},
		},
		"an event is new": {
			[]codec.Definition{sale(codec.Upcast(1, upcast)), payment, codec.Event[soldV1]("till.new")}, examples,
			[]string{"event till.new has no golden payload of version 1, which is written now: give Golden an example of codectest_test.soldV1"},
		},
		"an old version has no payload": {
			[]codec.Definition{sale(codec.Upcast(1, upcast)), payment, codec.Retired("till.old", codec.Drop(1))}, examples,
			[]string{"event till.old has no golden payload of version 1: take one from a log", "till.old.v1.json"},
		},
		"a new version has not been written yet": {
			[]codec.Definition{codec.Event[renamed]("till.sold", codec.Version(3), codec.Upcast(1, upcast), codec.Upcast(2, func(old sold) (renamed, error) { return renamed{old.Item, old.Cents}, nil })), payment},
			[]codectest.Example{{Event: renamed{Thing: "lamp"}}, {Event: paid{5}}},
			[]string{"till.sold.v3.json: run the test with " + codectest.WriteEnv + "=1", "till.sold.v1.json is decoded as"},
		},
		"an example is not registered": {
			[]codec.Definition{sale(codec.Upcast(1, upcast)), payment}, append(examples[:3:3], codectest.Example{Name: "x", Event: soldV1{}}),
			[]string{`example "x": encode event: type codectest_test.soldV1 is not registered`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			said := strings.Join(golden(set(t, c.events...), dir(t), c.examples...), "\n")
			for _, text := range c.says {
				assert.Contains(t, said, text)
			}
		})
	}
}

// To write is not to overwrite: a payload is what a log may hold.
func TestAPayloadIsNeverChanged(t *testing.T) {
	at := dir(t)
	t.Setenv(codectest.WriteEnv, "1")
	said := golden(now(t), at, codectest.Example{Event: sold{Item: "another"}}, examples[2])
	require.Len(t, said, 1)
	assert.Contains(t, said[0], "has changed without a new schema version")
	content, err := os.ReadFile(filepath.Join(at, "till.sold.v2.json"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"Item":"lamp"}`, string(content))
}

func TestAFileThatIsNoGoldenPayloadIsNamed(t *testing.T) {
	at := dir(t)
	require.NoError(t, os.WriteFile(filepath.Join(at, "notes.txt"), nil, 0o644))
	assert.Contains(t, strings.Join(golden(now(t), at, examples...), "\n"), "notes.txt is not named as a golden payload")
}

func FuzzEvents(f *testing.F) {
	f.Add(uint(1), []byte(`{"Item":"cup","Cents":1}`))
	codectest.Fuzz(f, now(f), "testdata/none")
}
