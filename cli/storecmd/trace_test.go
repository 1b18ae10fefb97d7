package storecmd

import (
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

type happen struct {
	Stream eventstore.StreamID
	Types  []string
}

// conversation fills a store: an order is placed, the payment reacts to it, and then the shipping to
// that; before and behind it are events of others.
func conversation(t testing.TB, store eventstore.Store) (placed eventstore.Recorded) {
	t.Helper()
	bus := command.NewBus()
	command.Handle(bus, "happen", func(ctx context.Context, c happen) (eventstore.Receipt, error) {
		write := eventstore.Write{Stream: c.Stream}
		for _, name := range c.Types {
			write.Events = append(write.Events, eventstore.EventData{Type: name, Metadata: eventstore.MetadataFrom(ctx).Encode()})
		}
		return store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{write}})
	})
	do := func(ctx context.Context, c happen, options ...command.DispatchOption) (first eventstore.Recorded) {
		receipt, err := bus.Dispatch(ctx, c, options...)
		require.NoError(t, err)
		read, err := store.ReadLog(ctx, eventstore.LogQuery{After: receipt.Token.Position - eventstore.Position(len(c.Types)), Limit: 1})
		require.NoError(t, err)
		for e, err := range read.Events() {
			require.NoError(t, err)
			return e
		}
		return first
	}
	ctx := t.Context()
	do(ctx, happen{"order-41", []string{"order.placed"}}, command.ID("another"))
	placed = do(ctx, happen{"order-42", []string{"order.placed", "order.confirmed"}}, command.ID("checkout-7"), command.Principal("ada"))
	do(ctx, happen{"order-43", []string{"order.placed"}})
	paid := do(eventstore.CausedBy(ctx, placed), happen{"payment-9", []string{"payment.taken"}}, command.Principal("payments"))
	do(eventstore.CausedBy(ctx, paid), happen{"parcel-3", []string{"parcel.sent"}}, command.Principal("shipping"))
	_, err := store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "note-1", Events: []eventstore.EventData{{Type: "note", Metadata: []byte("of another form, which names checkout-7")}}}}})
	require.NoError(t, err)
	return placed
}

func sqliteStore(t testing.TB) (url string, placed eventstore.Recorded) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.db")
	store, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	require.NoError(t, err)
	placed = conversation(t, store)
	require.NoError(t, store.Close(context.Background()))
	return "sqlite:" + file, placed
}

// times are what differs from run to run.
var times = regexp.MustCompile(`from \S+Z|the last one \S+ later|\+[0-9.µm]+s`)

const shownTree = `: 4 events in 3 streams, FROM
LATER
── caused by checkout-7
   ├─ order.placed  order-42@1  happen  by ada  AT  position 2
   │  ╰─ payment.taken  payment-9@1  happen  by payments  AT  position 5
   │     ╰─ parcel.sent  parcel-3@1  happen  by shipping  AT  position 6
   ╰─ order.confirmed  order-42@2  happen  by ada  AT  position 3
`

func TestTraceShowsAConversationAsATreeOfCauses(t *testing.T) {
	t.Parallel()
	store, placed := sqliteStore(t)
	m, err := eventstore.ParseMetadata(placed.Metadata)
	require.NoError(t, err)
	for _, id := range []string{m[eventstore.MetadataCorrelationID], "checkout-7"} {
		r := leftfold(t.Context(), "trace", id, "--store", store)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		got := times.ReplaceAllStringFunc(r.stdout, func(s string) string {
			return map[byte]string{'f': "FROM", 't': "LATER", '+': "AT"}[s[0]]
		})
		assert.Equal(t, id+shownTree, got)
	}
}

func TestTraceOfAnEventIsItsConversation(t *testing.T) {
	t.Parallel()
	store, placed := sqliteStore(t)
	r := leftfold(t.Context(), "trace", placed.ID.String(), "--store", store, "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var got traced
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.Equal(t, placed.ID.String(), got.ID)
	var positions []eventstore.Position
	for _, e := range got.Events {
		positions = append(positions, e.Position)
		assert.NotZero(t, e.RecordedAt)
	}
	assert.Equal(t, []eventstore.Position{2, 3, 5, 6}, positions)
	paid := got.Events[2]
	assert.Equal(t, placed.ID.String(), paid.Causation)
	assert.Equal(t, "payments", paid.Actor)
	assert.Equal(t, "happen", paid.Command)

	lines := leftfold(t.Context(), "trace", placed.ID.String(), "--store", store, "-o", "jsonl")
	assert.Equal(t, 4, strings.Count(lines.stdout, "\n"))
	var first tracedEvent
	require.NoError(t, json.Unmarshal([]byte(strings.SplitN(lines.stdout, "\n", 2)[0]), &first))
	assert.Equal(t, got.Events[0], first)
}

func TestTraceLooksOnlyWhereItIsTold(t *testing.T) {
	t.Parallel()
	store, _ := sqliteStore(t)
	r := leftfold(t.Context(), "trace", "checkout-7", "--store", store, "--last", "2")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, `no event of "checkout-7" after position 5, up to 7; to look in all of them say --since all`)
	r = leftfold(t.Context(), "trace", "checkout-7", "--store", store, "--since", "2100-01-01")
	assert.Contains(t, r.stderr, "after position 7, up to 7;")
	r = leftfold(t.Context(), "trace", "checkout-7", "--store", store, "--since", "1h")
	assert.Equal(t, cli.ExitOK, r.code)
	tomorrow := eventstore.EventID{6: 0x70}
	copy(tomorrow[:6], []byte{0x0f, 0xff, 0xff, 0xff, 0xff, 0xff})
	r = leftfold(t.Context(), "trace", tomorrow.String(), "--store", store)
	assert.Contains(t, r.stderr, "after position 7, up to 7;", "an id that tells its time is not looked for before")
	r = leftfold(t.Context(), "trace", tomorrow.String(), "--store", store, "--since", "all")
	assert.Contains(t, r.stderr, "after position 0, up to 7;")
}

func TestTraceIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"trace"}, cli.ExitUsage, "want the id of one conversation"},
		{[]string{"trace", "x"}, cli.ExitUsage, "say which store: --store sqlite:FILE"},
		{[]string{"trace", "x", "--store", "mysql://me:secret@here/db"}, cli.ExitUsage, "unknown store \"mysql://me:xxxxx@here/db\""},
		{[]string{"trace", "x", "--store", "sqlite:" + filepath.Join(t.TempDir(), "none.db")}, cli.ExitFailed, "there is no file"},
		{[]string{"trace", "x", "--store", "sqlite:x", "-o", "xml"}, cli.ExitUsage, "unknown output format"},
		{[]string{"trace", "x", "--store", "sqlite:x", "--since", "-3h"}, cli.ExitUsage, "--since -3h is neither a time"},
	} {
		r := leftfold(t.Context(), c.args...)
		assert.Equal(t, c.code, r.code, c.args)
		assert.Contains(t, r.stderr, c.text)
		assert.NotContains(t, r.stderr, "secret")
	}
}

// The store may be any; the URL says in which schema it is.
func TestTraceReadsAPostgresStore(t *testing.T) {
	t.Parallel()
	pool := postgrestest.Pool(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	defer store.Close(context.WithoutCancel(t.Context()))
	conversation(t, store)
	r := leftfold(t.Context(), "trace", "checkout-7", "--store", pool.Config().ConnString()+"&schema=leftfold", "-o", "jsonl")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	assert.Equal(t, 4, strings.Count(r.stdout, "\n"))
}

// Metadata are bytes that a program may write as it likes.
func TestCausesThatGoRoundInACircleAreStillShown(t *testing.T) {
	t.Parallel()
	a, b := eventstore.EventID{1}, eventstore.EventID{2}
	shown := tree(traced{ID: "x", Events: []tracedEvent{
		{Type: "a", ID: a, Causation: b.String()}, {Type: "b", ID: b, Causation: a.String()},
		{Type: "c", ID: eventstore.EventID{3}, Causation: eventstore.EventID{3}.String(), Actor: "\x1b[2J"},
	}})
	for _, want := range []string{"a  @0", "b  @0", "c  @0"} {
		assert.Equal(t, 1, strings.Count(shown, want), shown)
	}
	assert.NotContains(t, shown, "\x1b")
}

func TestTheFirstPositionOfATimeIsFound(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	conversation(t, store)
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	seen := map[time.Time]bool{}
	for e, err := range read.Events() {
		require.NoError(t, err)
		if seen[e.RecordedAt] {
			continue // recorded at one moment: they are found together
		}
		seen[e.RecordedAt] = true
		at, err := positionBefore(t.Context(), store, e.RecordedAt, read.Head)
		require.NoError(t, err)
		assert.Equal(t, e.Position-1, at)
	}
	at, err := positionBefore(t.Context(), memory.NewStore(), time.Now(), 0)
	require.NoError(t, err)
	assert.Zero(t, at)
}
