package cli_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

func TestStateAtShowsAnAggregateAsItIsAndAsItWas(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	store := s.store(t)
	happens(t, store, "1", placed{100})
	happens(t, store, "2", placed{7})
	last := happens(t, store, "1", placed{50}, paid{}).Token.Position
	const whole, half, first, none = `{"Cents":150,"Paid":true}`, `{"Cents":150,"Paid":false}`, `{"Cents":100,"Paid":false}`, `{"Cents":0,"Paid":false}`
	for _, c := range []struct {
		flags   []string
		version int
		state   string
	}{
		{nil, 3, whole},
		{[]string{"--version", "3"}, 3, whole},
		{[]string{"--version", "2"}, 2, half},
		{[]string{"--version", "0"}, 0, none},
		{[]string{"--position", strconv.Itoa(int(last) - 1)}, 2, half},
		{[]string{"--position", "2"}, 1, first},
		{[]string{"--position", "999"}, 3, whole},
		{[]string{"--at", time.Now().Add(time.Hour).Format(time.RFC3339)}, 3, whole},
		{[]string{"--at", asTablesShow(t, store, "order-1")}, 3, whole},
	} {
		r := s.run(t, append([]string{"state-at", "order-1", "-o", "json"}, c.flags...)...)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		var got struct {
			Stream  string
			Version int
			State   json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
		assert.Equal(t, "order-1", got.Stream)
		assert.Equal(t, c.version, got.Version, c.flags)
		assert.JSONEq(t, c.state, string(got.State), c.flags)
	}
	r := s.run(t, "state-at", "order-1", "--version", "2")
	assert.Regexp(t, `^order-1 at version 2: order.placed, position 3, recorded \S+Z\n\{\n  "Cents": 150,\n  "Paid": false\n\}\n$`, r.stdout)
}

// asTablesShow returns when the last event of a stream was recorded, cut to the millisecond.
func asTablesShow(t *testing.T, store eventstore.StreamReader, stream eventstore.StreamID) string {
	t.Helper()
	for e, err := range store.ReadStream(t.Context(), stream, eventstore.StreamRange{Backwards: true, Limit: 1}) {
		require.NoError(t, err)
		return e.RecordedAt.UTC().Format("2006-01-02 15:04:05.000")
	}
	t.Fatal("there is no event")
	return ""
}

func TestDiffShowsWhatChanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	store := s.store(t)
	happens(t, store, "1", placed{100}, placed{50}, paid{})
	for _, c := range []struct {
		flags []string
		says  string
	}{
		{nil, "  /Paid: false -> true\n"},
		{[]string{"--from", "1"}, "  /Cents: 100 -> 150\n  /Paid: false -> true\n"},
		{[]string{"--to", "1"}, "  /Cents: 0 -> 100\n"},
		{[]string{"--from", "0", "--to", "@2"}, "  /Cents: 0 -> 150\n"},
		{[]string{"--from", "2", "--to", "2"}, "Nothing changed.\n"},
	} {
		r := s.run(t, append([]string{"diff", "order-1"}, c.flags...)...)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		assert.Regexp(t, `^from  order-1 (at version \d|before its first event).*\nto    order-1 at version \d: .*\n`, r.stdout)
		assert.Contains(t, r.stdout, "Z\n"+c.says)
	}
	r := s.run(t, "diff", "order-1", "--from", "1", "--to", "2", "-o", "json")
	var got struct {
		Stream  string
		From    struct{ Version int }
		Changes []struct {
			Path     string
			Old, New int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got), r.stderr)
	assert.Equal(t, "order-1", got.Stream)
	assert.Equal(t, 1, got.From.Version)
	require.Len(t, got.Changes, 1)
	assert.Equal(t, 150, got.Changes[0].New)
}

func TestStateAtAndDiffSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	store := s.store(t)
	happens(t, store, "1", placed{100})
	for _, c := range []struct {
		code int
		says string
		line []string
	}{
		{cli.ExitUsage, "want one stream, such as order-7", []string{"state-at"}},
		{cli.ExitUsage, "want one of --at, --version and --position", []string{"state-at", "order-1", "--version", "1", "--at", "1h"}},
		{cli.ExitUsage, `--version "x": want a number from 0`, []string{"state-at", "order-1", "--version", "x"}},
		{cli.ExitUsage, `--position "0": want a number from 1`, []string{"state-at", "order-1", "--position", "0"}},
		{cli.ExitUsage, `--at: "yesterday" is neither a time such as`, []string{"state-at", "order-1", "--at", "yesterday"}},
		{cli.ExitFailed, "there is no stream order-9", []string{"state-at", "order-9"}},
		{cli.ExitFailed, "there is no stream order-9", []string{"state-at", "order-9", "--version", "0"}},
		{cli.ExitFailed, "order-1 is at version 1, and has no version 4", []string{"state-at", "order-1", "--version", "4"}},
		{cli.ExitFailed, "order-1 had no event at 2001-01-01T00:00:00Z: its first one is at position 1", []string{"state-at", "order-1", "--at", "2001-01-01"}},
		{cli.ExitFailed, `"parcel" is no aggregate of the program: it has greeting, order`, []string{"state-at", "parcel-1"}},
		{cli.ExitFailed, "greeter-1 is an instance of a saga: sagas show greeter 1", []string{"state-at", "greeter-1"}},
		{cli.ExitFailed, `stream`, []string{"state-at", "order"}},
		{cli.ExitUsage, `--from "x" is no moment: want a version such as 3`, []string{"diff", "order-1", "--from", "x"}},
		{cli.ExitUsage, `--to "@0" is no moment: want a version such as 3`, []string{"diff", "order-1", "--to", "@0"}},
		{cli.ExitFailed, "--from is version 1, and --to is version 0", []string{"diff", "order-1", "--from", "1", "--to", "0"}},
		{cli.ExitUsage, "unknown output format", []string{"diff", "order-1", "-o", "jsonl"}},
	} {
		r := s.run(t, c.line...)
		assert.Equal(t, c.code, r.code, "%v: %s", c.line, r.stderr)
		assert.Contains(t, r.stderr, c.says, c.line)
		assert.Empty(t, r.stdout)
	}
}
