package postgres_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

// forgeable is what a role that may append can still say of its own events: it would cost every
// append to check them. It harms nobody else's streams, but for the first event of a new one.
var forgeable = []string{
	"an event with the key of another stream",
	"a write with the key of another stream",
	"a tombstone among events",
	"the slice of another stream",
	"a stream id without a category",
	"an empty tag",
}

// A role that may append calls the functions with whatever it likes. What our client would
// never send is refused, with a SQLSTATE of ours or of a constraint.
func TestForgedBatchesAreRefused(t *testing.T) {
	r := newRoles(t)
	store := openOn(t, r.owner, postgres.Options{})
	for range 3 {
		_, err := store.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
	}
	require.NoError(t, r.try(t, "appender", honest().sql()), "what differs from it in one thing is refused for that thing")
	for name, forge := range forgeries {
		t.Run(name, func(t *testing.T) {
			b := honest()
			forge(b)
			err := r.try(t, "appender", b.sql())
			failure, _ := errors.AsType[*pgconn.PgError](err)
			if slices.Contains(forgeable, name) {
				require.NoError(t, err, "it is refused now: strike it from the list")
				return
			}
			require.NotNil(t, failure, "%v\n%s", err, b.sql())
			require.Regexp(t, "^(LF|23)", failure.Code, "%s", b.sql())
		})
	}
}

// Whoever may append may fence its own sessions, and nobody else's transactions.
func TestAForgedFenceStopsNobodysTransactions(t *testing.T) {
	r := newRoles(t)
	store := openOn(t, r.owner, postgres.Options{})
	_, _ = r.as["appender"].Exec(t.Context(), "SELECT leftfold.settle('00000000-0000-0000-0000-000000000000', 1, 0, '{}', '{}')")
	require.NoError(t, pgx.BeginFunc(t.Context(), r.owner, func(tx pgx.Tx) error {
		_, err := store.In(tx).Append(t.Context(), oneEvent("order-1"))
		return err
	}))
}

// forgeries are changes to a batch that is as our client makes them.
var forgeries = map[string]func(*forged){
	"a version before the first":              func(b *forged) { b.events[0].nth = "-5" },
	"version zero":                            func(b *forged) { b.events[0].nth = "0" },
	"a gap in the versions":                   func(b *forged) { b.events[0].nth = "2147483647" },
	"no version":                              func(b *forged) { b.events[0].nth = "NULL" },
	"an event with the key of another stream": func(b *forged) { b.events[0].stream = "'order-3'" },
	"a write with the key of another stream":  func(b *forged) { b.events[0].stream, b.writes[0].stream = "'order-3'", "'order-3'" },
	"tags that are not indexed":               func(b *forged) { b.tagged = "false" },
	"tags without being asked about":          func(b *forged) { b.tagged = "NULL" },
	"a type of the store's own":               func(b *forged) { b.events[0].kind = "'$store.own'" },
	"a tombstone among events":                func(b *forged) { b.events[0].kind = "'$stream.deleted'"; b.addEvent() },
	"a type without a name":                   func(b *forged) { b.events[0].kind = "''" },
	"a schema version below one":              func(b *forged) { b.events[0].schema = "-7" },
	"a slice that does not exist":             func(b *forged) { b.events[0].slice = "5000" },
	"the slice of another stream":             func(b *forged) { b.events[0].slice = fmt.Sprint((eventstore.StreamID("order-2").Slice() + 1) % 1024) },
	"a stream id without a category":          func(b *forged) { b.rename("nodash") },
	"an empty tag":                            func(b *forged) { b.events[0].tags = `E'customer:1\n\ncustomer:2'` },
	"an event of no write":                    func(b *forged) { b.events[0].write = "7" },
	"more events than the write says":         func(b *forged) { b.addEvent(); b.writes[0].count = "1" },
	"fewer events than the write says":        func(b *forged) { b.writes[0].count = "2" },
	"a gap that a write of less than nothing makes up for": func(b *forged) {
		b.writes[0].count, b.events[0].nth = "2", "2"
		b.writes = append(b.writes, forgedWrite{"2", keyOf("order-3"), "-1", "-1", "NULL"})
	},
	"a gap that events of a refused append make up for": func(b *forged) {
		b.writes[0].count, b.events[0].nth = "2", "2"
		b.writes = append(b.writes, forgedWrite{"2", keyOf("order-3"), "99", "1", "NULL"})
		refused := b.events[0]
		refused.write, refused.nth, refused.stream = "2", "1", "'order-3'"
		b.events = append(b.events, refused, refused)
	},
	"two writes to one stream": func(b *forged) { b.writes = append(b.writes, b.writes[0]) },
	"an event without an id":   func(b *forged) { b.events[0].id = "NULL" },
}

// forged is a call of leftfold.append, each value as SQL.
type forged struct {
	writes []forgedWrite
	events []forgedEvent
	tagged string
}

type forgedWrite struct{ append, key, expected, count, stream string }

type forgedEvent struct{ write, nth, id, slice, schema, stream, kind, tags, metadata, data string }

// honest appends a tagged event to the stream order-2.
func honest() *forged {
	return &forged{
		writes: []forgedWrite{{"1", keyOf("order-2"), "-1", "1", "NULL"}},
		events: []forgedEvent{{
			write: "1", nth: "1", id: "gen_random_uuid()", slice: fmt.Sprint(eventstore.StreamID("order-2").Slice()),
			schema: "1", stream: "'order-2'", kind: "'order.placed'", tags: "'customer:1'", metadata: "NULL", data: "''",
		}},
		tagged: "true",
	}
}

func (b *forged) addEvent() {
	second := b.events[0]
	second.nth = "2"
	b.events, b.writes[0].count = append(b.events, second), "2"
}

func (b *forged) rename(stream eventstore.StreamID) {
	b.writes[0].key = keyOf(stream)
	b.events[0].stream, b.events[0].slice = "'"+string(stream)+"'", fmt.Sprint(stream.Slice())
}

func (b *forged) sql() string {
	var writes, events []string
	for _, w := range b.writes {
		writes = append(writes, "ROW("+strings.Join([]string{w.append, w.key, w.expected, w.count, w.stream}, ",")+")")
	}
	for _, e := range b.events {
		events = append(events, "ROW("+strings.Join([]string{e.write, e.nth, e.id, e.slice, e.schema, e.stream, e.kind, e.tags, e.metadata, e.data}, ",")+")")
	}
	return fmt.Sprintf("SELECT leftfold.append(gen_random_uuid(), 0, 0, ARRAY[%s]::leftfold.new_write[], ARRAY[%s]::leftfold.new_event[], %s, NULL, NULL)",
		strings.Join(writes, ","), strings.Join(events, ","), b.tagged)
}

func keyOf(stream eventstore.StreamID) string {
	sum := sha256.Sum256([]byte(stream))
	return fmt.Sprintf("'%x'", sum[:16])
}
