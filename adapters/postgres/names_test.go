package postgres_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// hostile are names that mean something to SQL, to arrays, JSON or a collation, and neighbours
// that must stay apart.
var hostile = []string{
	`'`, `''`, `"`, `\`, `\\`, `\'`, `'; DROP TABLE leftfold.events; --`, `$1`, `$$`, `$leftfold$`, `%`, `%s`, `_`, `*`, `?`, `:a`,
	`{}`, `{`, `}`, `,`, `(`, `)`, `(,)`, `("a",1)`, `[1:2]`, `NULL`, `null`, `"NULL"`, `\N`, `\.`, `\x00`, `\n`, `\u0000`, `E'\n'`, `{"a":1}`, `leftfold`, `'leftfold'`,
	`a`, `A`, `a `, `a  `, "é", "e\u0301", "ß", "ss", "ẞ", "ı", "i", "İ", "I", "ﬁ", "fi", "Å", "A\u030a",
	"שלום", "مرحبا", "\u65e5\u672c\u8a9e", "🦊", "𝒳", "🏳", "\u0301", strings.Repeat("é", 120), strings.Repeat("🦊", 60), strings.Repeat("'", 240),
}

func TestHostileNamesComeBackAndStayApart(t *testing.T) {
	t.Parallel()
	store := openOn(t, newPool(t), postgres.Options{})
	ctx := t.Context()
	for n, name := range hostile {
		_, err := store.Append(ctx, eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.NewCommandID(name)},
			Writes: []eventstore.Write{{Stream: eventstore.NewStreamID("order", name), Expected: eventstore.NoStream, Events: []eventstore.EventData{
				{Type: "t" + name, Tags: []eventstore.Tag{eventstore.NewTag("k", name), eventstore.NewTag("n", fmt.Sprint(n))}},
			}}},
			Condition: &eventstore.Condition{FailIf: eventstore.Tagged(eventstore.NewTag("k", name))},
		})
		require.NoError(t, err, "%q", name)
	}
	for n, name := range hostile {
		at, stream, tag := eventstore.Position(n+1), eventstore.NewStreamID("order", name), eventstore.NewTag("k", name)
		for _, query := range []eventstore.Query{eventstore.Tagged(tag), eventstore.Types("t" + name)} {
			events := logOf(t, store, query)
			require.Len(t, events, 1, "%q", name)
			require.Equal(t, at, events[0].Position)
			require.Equal(t, stream, events[0].Stream)
			require.Equal(t, tag, events[0].Tags[0])
			_, err := store.Append(ctx, onlyIf(query, 0))
			var failed *eventstore.ConditionFailedError
			require.ErrorAs(t, err, &failed, "%q", name)
			require.Equal(t, at, failed.Position, "%q", name)
		}
		_, err := store.Append(ctx, onlyIf(eventstore.Tagged(tag, "n:none"), 0))
		require.NoError(t, err)
		receipt, known, err := store.LookupCommand(ctx, eventstore.Command{ID: eventstore.NewCommandID(name)})
		require.NoError(t, err)
		require.True(t, known)
		require.Equal(t, map[eventstore.StreamID]eventstore.Version{stream: 1}, receipt.Versions, "%q", name)
	}
	require.EqualValues(t, len(hostile), headOf(t, store), "nothing else was appended")
}

// Tags are stored one a line, so a line break in one would forge another.
func TestNamesThatWouldBreakARowAreRefusedBeforeItIsSent(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	for _, name := range []string{"a\nk:forged", "a\r", "a\x00", "a\u2028b", "a\u2029b", "a\u202eb", "a\u200db", "a\xff", "a\ufffe", strings.Repeat("x", 255)} {
		for what, event := range map[string]eventstore.EventData{"type": {Type: "t" + name}, "tag": {Type: "t", Tags: []eventstore.Tag{eventstore.NewTag("k", name)}}} {
			_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{event}}}})
			require.Error(t, err, "%s %q", what, name)
		}
		_, err := store.Append(t.Context(), oneEvent(eventstore.NewStreamID("order", name)))
		require.Error(t, err, "stream %q", name)
	}
	require.Zero(t, headOf(t, store))
}

// TestAnyLegalEventComesBack is the rule behind the lists: whatever the limits allow comes
// back as it was, and conditions match exactly the tags that were given.
func TestAnyLegalEventComesBack(t *testing.T) {
	t.Parallel()
	store := openOn(t, newPool(t), postgres.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		event := eventstore.EventData{
			ID:            eventstore.NewEventID(),
			Type:          "t" + legalName.Draw(rt, "type"),
			SchemaVersion: rapid.IntRange(1, eventstore.MaxSchemaVersion).Draw(rt, "schema version"),
			Data:          rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "data"),
			Metadata:      rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "metadata"),
		}
		for _, name := range rapid.SliceOfNDistinct(legalName, 0, eventstore.MaxTags, rapid.ID[string]).Draw(rt, "tags") {
			event.Tags = append(event.Tags, eventstore.NewTag("k", name))
		}
		stream := eventstore.NewStreamID("s", legalName.Draw(rt, "stream"))
		receipt, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{event}}}})
		require.NoError(rt, err)
		at := receipt.Token.Position

		var got []eventstore.Recorded
		for e, err := range store.ReadStream(t.Context(), stream, eventstore.StreamRange{After: receipt.Versions[stream] - 1}) {
			require.NoError(rt, err)
			got = append(got, e)
		}
		require.Len(rt, got, 1)
		want := eventstore.Recorded{EventData: event, Stream: stream, Version: receipt.Versions[stream], Position: at, RecordedAt: got[0].RecordedAt}
		require.True(rt, want.Equal(got[0]), "got %+v, want %+v", got[0], want)
		if len(event.Tags) == 0 {
			return
		}
		_, err = store.Append(t.Context(), onlyIf(eventstore.Tagged(event.Tags...), at-1))
		require.ErrorIs(rt, err, eventstore.ErrConditionFailed)
		_, err = store.Append(t.Context(), onlyIf(eventstore.Tagged(event.Tags...), at))
		require.NoError(rt, err)
		other := event.Tags[0] + "~"
		if len(other) <= eventstore.MaxNameBytes {
			_, err = store.Append(t.Context(), onlyIf(eventstore.Tagged(other).Or(eventstore.Tagged(event.Tags[0], other)), at-1))
			if !strings.Contains(fmt.Sprint(event.Tags), string(other)) {
				require.NoError(rt, err)
			}
		}
	})
}

var legalName = rapid.StringOfN(rapid.RuneFrom(nil, unicode.Letter, unicode.Mark, unicode.Number, unicode.Punct, unicode.Symbol).
	Filter(unicode.IsPrint), 1, 40, 240)

func TestPayloadsComeBackByteForByte(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	every := make([]byte, 256)
	for n := range every {
		every[n] = byte(n)
	}
	for name, payload := range map[string][]byte{
		"empty": {}, "every byte": every, "invalid UTF-8": {0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80}, "NULs": make([]byte, 1000),
		"bytea escapes": []byte(`\x00\\000'`), "1 MiB": bytes.Repeat(every, 1<<12)[:eventstore.DefaultEventBytes-1],
	} {
		stream := eventstore.NewStreamID("payload", name)
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{
			{Type: "data", Data: payload, Metadata: []byte{0xff}}, {Type: "metadata", Metadata: payload},
		}}}})
		require.NoError(t, err, name)
		for e, err := range store.ReadStream(t.Context(), stream, eventstore.StreamRange{}) {
			require.NoError(t, err)
			if e.Type == "data" {
				require.True(t, bytes.Equal(payload, e.Data), name)
			} else {
				require.True(t, bytes.Equal(payload, e.Metadata), name)
			}
		}
	}
}

func TestTortureTheLargestAppendsComeBack(t *testing.T) {
	t.Parallel()
	store := openOn(t, newPool(t), postgres.Options{})
	heavy := make([]eventstore.EventData, 64)
	for n := range heavy {
		heavy[n] = eventstore.EventData{Type: "heavy", Data: bytes.Repeat([]byte{byte(n), 0xff}, 1<<19-256)}
	}
	many := make([]eventstore.EventData, eventstore.MaxEvents)
	for n := range many {
		many[n] = eventstore.EventData{Type: "many", Data: fmt.Append(nil, n), Tags: []eventstore.Tag{"all:1", eventstore.NewTag("n", fmt.Sprint(n)), eventstore.NewTag("mod", fmt.Sprint(n%7))}}
	}
	for stream, events := range map[eventstore.StreamID][]eventstore.EventData{"large-1": heavy, "large-2": many} {
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: events}}})
		require.NoError(t, err)
		n := 0
		for e, err := range store.ReadStream(t.Context(), stream, eventstore.StreamRange{}) {
			require.NoError(t, err)
			require.Equal(t, sha256.Sum256(events[n].Data), sha256.Sum256(e.Data))
			require.Equal(t, events[n].Tags, e.Tags)
			n++
		}
		require.Len(t, events, n)
	}
	require.Len(t, logOf(t, store, eventstore.Tagged("n:9999", "all:1")), 1)
}

func TestReservedWordsAreSchemas(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	for _, name := range []string{"user", "select", "table", "_", "null", "all", strings.Repeat("s", 48)} {
		_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{Schema: name})
		require.NoError(t, err, name)
		store := openOn(t, pool, postgres.Options{Schema: name})
		request := oneEvent("order-1")
		request.Command.ID = eventstore.NewCommandID("place")
		receipt, err := store.Append(t.Context(), request)
		require.NoError(t, err, name)
		require.NoError(t, store.WaitAppended(t.Context(), receipt.Token.Position-1))
		require.Len(t, logOf(t, store, eventstore.Query{}), 1)
	}
	for _, name := range []string{`a"; DROP SCHEMA leftfold; --`, "a'b", "a.b", "a\n", "\na", "é", "a\x00", " a", "$1", "A"} {
		_, err := postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{Schema: name})
		require.ErrorIs(t, err, eventstore.ErrInvalid, "%q", name)
		_, err = postgres.Open(t.Context(), pool, postgres.Options{Schema: name})
		require.ErrorIs(t, err, eventstore.ErrInvalid, "%q", name)
		_, err = postgres.GrantSQL(name, "a", postgres.ToRead)
		require.ErrorIs(t, err, eventstore.ErrInvalid, "%q", name)
	}
}

func TestHostileRoleNamesGetTheirPrivileges(t *testing.T) {
	t.Parallel()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	owner := poolOn(t, server.URL("postgres"))
	_, err = postgres.Migrate(t.Context(), owner, postgres.MigrateOptions{})
	require.NoError(t, err)
	for _, role := range []string{"select", `a"; DROP SCHEMA leftfold CASCADE; --`, "leftfold", "o'brien", "größe 🦊", "with space"} {
		_, err := owner.Exec(t.Context(), "CREATE ROLE "+pgx.Identifier{role}.Sanitize()+" LOGIN")
		require.NoError(t, err)
		require.NoError(t, postgres.Grant(t.Context(), owner, "", role, postgres.ToRead, postgres.ToAppend), role)
		config := owner.Config()
		config.ConnConfig.User = role
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		_, err = openOn(t, pool, postgres.Options{}).Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err, role)
	}
}

// TestMutantNamesThatAreFoldedAreFound: a store that folds case or trims spaces would mix up
// the names of the list above.
func TestMutantNamesThatAreFoldedAreFound(t *testing.T) {
	for what, fold := range map[string]func(string) string{
		"case": strings.ToLower, "trailing space": func(s string) string { return strings.TrimRight(s, " ") },
		"quotes": func(s string) string { return strings.ReplaceAll(s, "''", "'") }, "backslashes": func(s string) string { return strings.ReplaceAll(s, `\\`, `\`) },
	} {
		folded := map[string]bool{}
		for _, name := range hostile {
			folded[fold(name)] = true
		}
		require.Less(t, len(folded), len(hostile), what)
	}
}

func logOf(t *testing.T, store eventstore.Store, query eventstore.Query) (events []eventstore.Recorded) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: query})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

// onlyIf is an append of nothing that is refused if an event matches.
func onlyIf(query eventstore.Query, after eventstore.Position) eventstore.AppendRequest {
	return eventstore.AppendRequest{
		Command:   eventstore.Command{ID: eventstore.CommandID(eventstore.NewEventID())},
		Condition: &eventstore.Condition{FailIf: query, After: after},
	}
}
