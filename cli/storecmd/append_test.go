package storecmd

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

// emptyStore is the URL of a store in a new file.
func emptyStore(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "new.db")
	store, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	require.NoError(t, err)
	require.NoError(t, store.Close(context.Background()))
	return "sqlite:" + file
}

// streamOf is what stream show prints of a stream.
func streamOf(t testing.TB, store string, stream string) (events []shownEvent) {
	t.Helper()
	r := leftfold(t.Context(), "stream", "show", stream, "--store", store, "-o", "jsonl")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	for line := range strings.Lines(r.stdout) {
		var e shownEvent
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		events = append(events, e)
	}
	return events
}

func TestAnEventIsAppendedWithAllThatWasSaidOfIt(t *testing.T) {
	t.Parallel()
	store := emptyStore(t)
	file := filepath.Join(t.TempDir(), "payload.json")
	require.NoError(t, os.WriteFile(file, []byte("{\"n\": 9007199254740993 }\n"), 0o600))
	r := leftfold(t.Context(), "append", "order-1", "--store", store, "--type", "order.placed", "--data", "@"+file,
		"--tag", "customer:17", "--tag", "a:b", "--schema-version", "3", "--expect", "empty", "--id", "first")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Contains(t, r.stdout, "Appended 1 event to order-1, up to version 1, position 1\nid first, token ")
	events := streamOf(t, store, "order-1")
	require.Len(t, events, 1)
	e := events[0]
	assert.Equal(t, "order.placed", e.Type)
	assert.Equal(t, 3, e.SchemaVersion)
	assert.Equal(t, []eventstore.Tag{"customer:17", "a:b"}, e.Tags)
	assert.JSONEq(t, `{"command":"leftfold append","correlation_id":"first"}`, string(e.Metadata))
	r = leftfold(t.Context(), "stream", "show", "order-1", "--store", store, "--payload")
	assert.Contains(t, r.stdout, "9007199254740993")

	r = leftfoldReading(t.Context(), `"text"`, "append", "order-1", "--store", store, "--type", "order.noted", "--data", "-", "--expect", "exact:1", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var receipt appended
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &receipt))
	assert.Equal(t, appended{"order-1", 2, 2, receipt.Token, receipt.ID, false}, receipt)
	assert.NotEmpty(t, receipt.ID, "one is made, so that the same can be asked for again")
}

func TestEventsOfStandardInputAreAppendedTogether(t *testing.T) {
	t.Parallel()
	store := emptyStore(t)
	const lines = `{"type":"order.placed","data":{"total": 17},"tags":["customer:17"],"metadata":{"actor":"ada"},"schema_version":2}

{"type":"order.confirmed"}
`
	r := leftfoldReading(t.Context(), lines, "append", "order-1", "--store", store)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Contains(t, r.stdout, "Appended 2 events to order-1, up to version 2, position 2")
	events := streamOf(t, store, "order-1")
	require.Len(t, events, 2)
	assert.JSONEq(t, `{"actor":"ada"}`, string(events[0].Metadata))
	assert.Equal(t, 2, events[0].SchemaVersion)
	assert.Empty(t, events[1].Data)

	for in, says := range map[string]string{
		lines + `{"type":"x","dta":1}`: `line 4 of standard input: json: unknown field "dta"`,
		`{"data":1}`:                   `line 1 of standard input: it has no "type"`,
		`{"type":"x"} {}`:              "line 1 of standard input: it is more than one object",
		"{\"type\":\"x\"":              "line 1 of standard input: unexpected EOF",
		`{"type":"x","tags":["y"]}`:    "want key:value",
		`{"type":"$x"}`:                "names that start with $ are the store's own",
		"\n":                           "there are no events on standard input",
	} {
		r := leftfoldReading(t.Context(), in, "append", "order-1", "--store", store)
		assert.Equal(t, cli.ExitUsage, r.code, in)
		assert.Contains(t, r.stderr, says)
		assert.Empty(t, r.stdout)
	}
	assert.Len(t, streamOf(t, store, "order-1"), 2, "all of them or none")
}

// Sent again, an append is its first receipt, whatever the stream has become meanwhile.
func TestAnAppendIsMadeOnceUnderItsID(t *testing.T) {
	t.Parallel()
	store := emptyStore(t)
	once := []string{"append", "order-1", "--store", store, "--type", "order.placed", "--data", `{"total":17}`, "--expect", "empty", "--id", "repair-7"}
	first := leftfold(t.Context(), append(once, "-o", "json")...)
	require.Equal(t, cli.ExitOK, first.code, first.stderr)
	require.Equal(t, cli.ExitOK, leftfold(t.Context(), "append", "order-1", "--store", store, "--type", "order.noted").code)
	again := leftfold(t.Context(), append(once, "-o", "json")...)
	require.Equal(t, cli.ExitOK, again.code, again.stderr)
	assert.Equal(t, strings.Replace(first.stdout, `"repeated": false`, `"repeated": true`, 1), again.stdout)
	assert.Contains(t, leftfold(t.Context(), once...).stdout, "Nothing to do: an earlier call with this id has appended 1 event to order-1, up to version 1")
	assert.Len(t, streamOf(t, store, "order-1"), 2)

	for _, other := range [][]string{
		{"append", "order-1", "--store", store, "--type", "order.placed", "--data", `{"total":18}`, "--id", "repair-7"},
		{"append", "order-2", "--store", store, "--type", "order.placed", "--data", `{"total":17}`, "--id", "repair-7"},
	} {
		r := leftfold(t.Context(), other...)
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Equal(t, "leftfold: nothing was appended: other events were, under --id repair-7; these need another id\n", r.stderr)
	}
}

func TestAConflictSaysWhatToDo(t *testing.T) {
	t.Parallel()
	store := emptyStore(t)
	line := func(expect string) []string {
		return []string{"append", "order-1", "--store", store, "--type", "order.placed", "--expect", expect}
	}
	r := leftfold(t.Context(), line("exact:2")...)
	assert.Equal(t, ran{cli.ExitFailed, "", "leftfold: nothing was appended: version conflict on order-1: expected version 2, it is at version 0; " +
		"see leftfold stream show order-1, and if the events are still right say --expect empty\n"}, r)
	require.Equal(t, cli.ExitOK, leftfold(t.Context(), line("empty")...).code)
	r = leftfold(t.Context(), line("empty")...)
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "say --expect exact:1\n")
	assert.Len(t, streamOf(t, store, "order-1"), 1)
}

func TestAnAppendThatIsAskedForWronglyIsSaidInALine(t *testing.T) {
	t.Parallel()
	store := emptyStore(t)
	for says, args := range map[string][]string{
		"want the name of one stream":          {},
		"want category-id":                     {"order", "--type", "x"},
		`--expect "2": want any, empty or`:     {"order-1", "--type", "x", "--expect", "2"},
		`--expect "exact:0": want any, empty`:  {"order-1", "--type", "x", "--expect", "exact:0"},
		"--data: the payload is no JSON":       {"order-1", "--type", "x", "--data", "{"},
		"--data: open nowhere.json":            {"order-1", "--type", "x", "--data", "@nowhere.json"},
		"--data is for one event: say its":     {"order-1", "--data", "{}"},
		"invalid event type":                   {"order-1", "--type", ""},
		"--schema-version starts at 1":         {"order-1", "--type", "x", "--schema-version", "0"},
		`invalid schema version "-1"`:          {"order-1", "--type", "x", "--schema-version", "-1"},
		"--wait must be positive":              {"order-1", "--type", "x", "--wait", "0s"},
		`unknown output format "jsonl"`:        {"order-1", "--type", "x", "-o", "jsonl"},
		"want key:value":                       {"order-1", "--type", "x", "--tag", "y"},
		"there are no events on standard inpu": {"order-1"},
	} {
		r := leftfoldReading(t.Context(), "", append([]string{"append", "--store", store}, args...)...)
		assert.Equal(t, cli.ExitUsage, r.code, r.stderr)
		assert.Contains(t, r.stderr, says)
		assert.Empty(t, r.stdout)
	}
}

// What cannot be said of an append is what became of it, unless the store says so.
func TestAnAppendThatIsNotTakenInTimeIsNone(t *testing.T) {
	t.Parallel()
	a := appending{wait: time.Minute, id: "7"}
	assert.EqualError(t, a.refused("order-1", context.DeadlineExceeded), "nothing was appended: the store did not come to it within 1m0s (--wait)")
	assert.ErrorContains(t, a.refused("order-1", eventstore.ErrOutcomeUnknown), "the same command line with --id 7 finds out")
}
