package postgres_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
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
	"an event with the name of another stream",
	"a write with the key of another stream",
	"a tombstone among events",
	"the slice of another stream",
	"a stream id without a category",
	"an empty tag",
	"a receipt that names another stream",
	"a receipt of an append that was not made",
}

// A role that may append calls the functions with whatever it likes. What our client would
// never send is refused, with a SQLSTATE of ours or of a constraint.
func TestForgedBatchesAreRefused(t *testing.T) {
	t.Parallel()
	r := newForgery(t)
	for _, function := range []string{"append", "append_in"} {
		unsound, err := r.forge(t, "appender", honest().sql(function))
		require.NoError(t, err, "what differs from it in one thing is refused for that thing")
		require.Empty(t, unsound)
		for name, forge := range forgeries {
			t.Run(function+", "+name, func(t *testing.T) {
				b := honest()
				forge(b)
				unsound, err := r.forge(t, "appender", b.sql(function))
				require.Empty(t, unsound, "%s", b.sql(function))
				if slices.Contains(forgeable, name) {
					require.NoError(t, err, "it is refused now: strike it from the list")
					return
				}
				require.Error(t, err, "%s", b.sql(function))
				if failure, ok := errors.AsType[*pgconn.PgError](err); ok {
					require.Regexp(t, "^(LF|23)", failure.Code, "%s", b.sql(function))
				} else {
					require.ErrorIs(t, err, errSkipped)
				}
			})
		}
	}
}

// Each check of the function is there for a forgery: without it, that one passes.
func TestMutantsThatTakeForgedBatchesAreCaught(t *testing.T) {
	t.Parallel()
	r := newForgery(t)
	for _, mutant := range []struct{ forgery, old, made string }{
		{"a gap in the versions", "e.nth BETWEEN 1 AND counts[e.write]", "e.nth > 0"},
		{"a version before the first", "e.nth BETWEEN 1 AND counts[e.write]", "e.nth <= counts[e.write]"},
		{"an event with the key of another write", " AND e.stream_key = stream_keys[e.write]", ""},
		{"a slice that does not exist", " AND e.slice BETWEEN 0 AND 1023", ""},
		{"a schema version below one", " AND e.schema_version > 0", ""},
		{"a type without a name", "e.type <> ''", "true"},
		{"a type of the store's own", "NOT starts_with(e.type, '$')", "true"},
		{"fewer events than the write says", "made <> coalesce(total, 0)", "false"},
		{"more events than the write says", "made <> cardinality(", "0 > cardinality("},
		{"a gap in the positions", "made <> cardinality(", "0 > cardinality("},
		{"a write to a deleted stream at the version that stands for it", "v.version < 0 OR ", ""},
		{"a gap that a write of less than nothing makes up for", "sum(greatest(v.count, 0))", "sum(v.count)"},
		{"keys that do not count from one", "array_lower(stream_keys, 1) <> 1", "false"},
		{"counts that do not count from one", "array_lower(counts, 1) <> 1", "false"},
		{"appends that do not count from one", "array_lower(appends, 1) <> 1", "false"},
		{"writes of events that do not count from one", "array_lower(writes, 1) <> 1", "false"},
	} {
		t.Run(mutant.forgery, func(t *testing.T) {
			tx, err := r.owner.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(context.Background()) }()
			mutate(t, tx, "append", mutant.old, mutant.made)
			b := honest()
			forgeries[mutant.forgery](b)
			require.NoError(t, attempt(t, tx, b.sql("append_in")), "another check refuses it too")
		})
	}
}

// mutate puts a defect into a function of ours.
func mutate(t *testing.T, on interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, function, old, made string) {
	t.Helper()
	var text string
	require.NoError(t, on.QueryRow(t.Context(), "SELECT pg_get_functiondef($1::regproc)", "leftfold."+function).Scan(&text))
	require.Equal(t, 1, strings.Count(text, old), "in %s, %q", function, old)
	_, err := on.Exec(t.Context(), strings.Replace(text, old, made, 1))
	require.NoError(t, err)
}

// Arrays of any shape, in any parameter: the batch is refused, or what it leaves is a log.
func TestForgedArraysLeaveTheLogSound(t *testing.T) {
	t.Parallel()
	r := newForgery(t)
	appended, refused := 0, 0
	for name, element := range columns {
		for shape, of := range map[string]func(values string, n int) string{
			"NULL":    func(string, int) string { return "NULL" },
			"empty":   func(string, int) string { return "'{}'" },
			"shorter": func(values string, _ int) string { return "trim_array(" + values + ", 1)" },
			"longer":  func(values string, _ int) string { return values + " || " + values },
			"that ends with NULL": func(values string, _ int) string {
				return "trim_array(" + values + ", 1) || ARRAY[NULL]::" + element + "[]"
			},
			"that starts with NULL": func(values string, _ int) string { return "ARRAY[NULL]::" + element + "[] || " + values },
			"of two dimensions":     func(values string, _ int) string { return "ARRAY[" + values + ", " + values + "]" },
			"that counts from zero": func(values string, n int) string { return counting(fmt.Sprintf("[0:%d]", n-1), values) },
			"that counts from two":  func(values string, n int) string { return counting(fmt.Sprintf("[2:%d]", n+1), values) },
			"backwards": func(values string, _ int) string {
				return "ARRAY(SELECT v FROM unnest(" + values + ") WITH ORDINALITY u(v, n) ORDER BY n DESC)"
			},
		} {
			for some, b := range map[string]*forged{"made": two("-1"), "refused in part": two("99")} {
				values := b.parameter(name)
				b.given = map[string]string{name: "(" + of(values, 1+strings.Count(values, ", ")) + ")::" + element + "[]"}
				unsound, err := r.forge(t, "appender", b.sql("append_in"))
				require.Empty(t, unsound, "%s %s, %s: %s", name, shape, some, b.sql("append_in"))
				if err == nil {
					appended++
				} else {
					refused++
				}
			}
		}
	}
	t.Logf("%d taken, %d refused", appended, refused)
	require.Greater(t, appended, 50)
	require.Greater(t, refused, 100)
}

// Whoever calls append_one by hand gets an event appended, or nothing.
func TestForgedLoneEventsLeaveTheLogSound(t *testing.T) {
	t.Parallel()
	r := newForgery(t)
	for name := range honestOne("order-2", 0) {
		for _, value := range []string{"NULL", "0", "1", "-1", "-3", "32767", "'$stream.deleted'", "'$store.own'", "''", keyOf("order-1"), keyOf("gone-1"), "'order-1'"} {
			for stream, version := range map[eventstore.StreamID]int{"order-2": 0, "order-1": 3, "gone-1": 3} {
				call := honestOne(stream, version)
				call[name] = value
				unsound, _ := r.forge(t, "appender", call.sql())
				require.Empty(t, unsound, "%s", call.sql())
			}
		}
	}
	for _, mutant := range []struct{ name, value, old, made string }{
		{"expected", "-3", "expected < 0", "false"},
		{"expected", "7", "append_one.expected = coalesce(", "0 <= coalesce("},
		{"type", "'$store.own'", "starts_with(type, '$')", "false"},
		{"type", "''", "type = ''", "false"},
		{"slice", "1024", "slice NOT BETWEEN 0 AND 1023", "false"},
		{"schema_version", "0", "schema_version < 1", "false"},
	} {
		require.NotEmpty(t, r.mutantOne(t, mutant.name, mutant.value, mutant.old, mutant.made), "%s = %s", mutant.name, mutant.value)
	}
}

// mutantOne is what is wrong with the log after a forged call of a mutant.
func (r forgery) mutantOne(t *testing.T, name, value, old, made string) []string {
	t.Helper()
	tx, err := r.owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	mutate(t, tx, "append_one", old, made)
	stream := eventstore.StreamID("order-2")
	if value == "-3" {
		stream = "gone-1"
	}
	call := honestOne(stream, 0)
	call[name] = value
	_, err = tx.Exec(t.Context(), ourPath)
	require.NoError(t, err)
	require.NoError(t, attempt(t, tx, call.sql()))
	return unsound(t, tx)
}

// Whoever may append may fence its own sessions, and nobody else's transactions.
func TestAForgedFenceStopsNobodysTransactions(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	store := openOn(t, r.owner, postgres.Options{})
	_, _ = r.as["appender"].Exec(t.Context(), "SELECT leftfold.settle('00000000-0000-0000-0000-000000000000', 1, 0, '{}', '{}')")
	require.NoError(t, pgx.BeginFunc(t.Context(), r.owner, func(tx pgx.Tx) error {
		_, err := store.In(tx).Append(t.Context(), oneEvent("order-1"))
		return err
	}))
}

// forgery is a log that forged batches are made for: three events in order-1, and in gone-1 two
// and a tombstone.
type forgery struct{ roles }

func newForgery(t *testing.T) forgery {
	t.Helper()
	r := newRoles(t)
	store := openOn(t, r.owner, postgres.Options{})
	for _, stream := range []eventstore.StreamID{"order-1", "gone-1", "order-1", "gone-1", "order-1"} {
		_, err := store.Append(t.Context(), oneEvent(stream))
		require.NoError(t, err)
	}
	_, err := store.DeleteStream(t.Context(), "gone-1", eventstore.Any)
	require.NoError(t, err)
	return forgery{r}
}

// forge calls a function as the role, and says what is wrong with the log after it. It takes
// back what it did.
func (r forgery) forge(t *testing.T, role, sql string) (wrong []string, err error) {
	t.Helper()
	tx, err := r.as[role].Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), ourPath)
	require.NoError(t, err)
	if err := attempt(t, tx, sql); err != nil {
		return nil, err
	}
	return unsound(t, tx), nil
}

// errSkipped: the append was answered, and not made.
var errSkipped = errors.New("skipped")

// attempt calls a function that appends.
func attempt(t *testing.T, tx pgx.Tx, sql string) error {
	t.Helper()
	var before, after int
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events").Scan(&before))
	if _, err := tx.Exec(t.Context(), sql); err != nil {
		return err
	}
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events").Scan(&after))
	if after == before {
		return errSkipped
	}
	return nil
}

// ourPath makes a transaction's session one that append takes.
const ourPath = "SELECT set_config('search_path', 'pg_catalog, pg_temp', true)"

// unsound returns what no log of ours can be.
func unsound(t *testing.T, tx pgx.Tx) (wrong []string) {
	t.Helper()
	rows, err := tx.Query(t.Context(), `
		SELECT 'a gap in the positions' FROM leftfold.events HAVING min(position) <> 1 OR max(position) <> count(*)
		UNION ALL
		SELECT 'a gap in the versions of ' || min(stream_id) FROM leftfold.events GROUP BY stream_key HAVING min(version) <> 1 OR max(version) <> count(*)
		UNION ALL
		SELECT 'a slice, a type or a schema version' FROM leftfold.events
		WHERE slice NOT BETWEEN 0 AND 1023 OR schema_version < 1 OR type = '' OR type LIKE '$%' AND type <> '$stream.deleted'
		UNION ALL
		SELECT 'a tag that is not indexed: ' || missing.tag
		FROM (SELECT position, string_to_table(tags, E'\n') AS tag FROM leftfold.events EXCEPT SELECT position, tag FROM leftfold.event_tags) missing
		UNION ALL
		SELECT 'a tag of no event: ' || strange.tag
		FROM (SELECT position, tag FROM leftfold.event_tags EXCEPT SELECT position, string_to_table(tags, E'\n') FROM leftfold.events) strange
		UNION ALL
		SELECT 'a receipt from after the end' FROM leftfold.commands WHERE position > (SELECT count(*) FROM leftfold.events)`)
	require.NoError(t, err)
	wrong, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return wrong
}

// forgeries are changes to a batch that is as our client makes them.
var forgeries = map[string]func(*forged){
	"a version before the first":               func(b *forged) { b.events[0].nth = "-5" },
	"version zero":                             func(b *forged) { b.events[0].nth = "0" },
	"a gap in the versions":                    func(b *forged) { b.events[0].nth = "2147483647" },
	"no version":                               func(b *forged) { b.events[0].nth = "NULL" },
	"a version twice":                          func(b *forged) { b.addEvent(); b.events[1].nth = "1" },
	"an event with the name of another stream": func(b *forged) { b.events[0].stream = "'order-3'" },
	"an event with the key of another stream":  func(b *forged) { b.events[0].key = keyOf("order-3") },
	"an event with the key of another write": func(b *forged) { // at the version of order-1
		b.writes[0].key, b.events[0].key = keyOf("order-1"), keyOf("order-3")
	},
	"a write with the key of another stream": func(b *forged) { b.events[0].stream, b.writes[0].id = "'order-3'", "'order-3'" },
	"a type of the store's own":              func(b *forged) { b.events[0].kind = "'$store.own'" },
	"a tombstone among events":               func(b *forged) { b.events[0].kind = "'$stream.deleted'"; b.addEvent() },
	"a type without a name":                  func(b *forged) { b.events[0].kind = "''" },
	"a schema version below one":             func(b *forged) { b.events[0].schema = "-7" },
	"a slice that does not exist":            func(b *forged) { b.events[0].slice = "5000" },
	"the slice of another stream":            func(b *forged) { b.events[0].slice = fmt.Sprint((eventstore.StreamID("order-2").Slice() + 1) % 1024) },
	"a stream id without a category":         func(b *forged) { b.rename("nodash") },
	"an empty tag":                           func(b *forged) { b.events[0].tags = `E'customer:1\n\ncustomer:2'` },
	"a tag twice":                            func(b *forged) { b.events[0].tags = `E'customer:1\ncustomer:1'` },
	"a gap in the positions": func(b *forged) { // the first of two does not count
		b.events = append(b.events, b.events[0])
		b.events[0].nth = "0"
	},
	"an event of no write":                   func(b *forged) { b.events[0].write = "7" },
	"an event of the write before the first": func(b *forged) { b.events[0].write = "0" },
	"an event whose write is not said":       func(b *forged) { b.events[0].write = "NULL" },
	"more events than the write says":        func(b *forged) { b.addEvent(); b.writes[0].count = "1" },
	"fewer events than the write says":       func(b *forged) { b.writes[0].count = "2" },
	"a write that does not say how many":     func(b *forged) { b.writes[0].count = "NULL" },
	"a write without a key":                  func(b *forged) { b.writes[0].key = "NULL" },
	"an event without a key":                 func(b *forged) { b.events[0].key = "NULL" },
	"an event and its write without a key":   func(b *forged) { b.writes[0].key, b.events[0].key = "NULL", "NULL" },
	"an event without a type":                func(b *forged) { b.events[0].kind = "NULL" },
	"an event without a slice":               func(b *forged) { b.events[0].slice = "NULL" },
	"an event without a schema version":      func(b *forged) { b.events[0].schema = "NULL" },
	"an event without a stream":              func(b *forged) { b.events[0].stream = "NULL" },
	"an event without data":                  func(b *forged) { b.events[0].data = "NULL" },
	"an event without an id":                 func(b *forged) { b.events[0].id = "NULL" },
	"a write to a deleted stream at the version that stands for it": func(b *forged) {
		b.rename("gone-1")
		b.writes[0].expected = "-3"
	},
	"two writes to one stream":                    func(b *forged) { b.writes = append(b.writes, b.writes[0]) },
	"a stream that exists, and a version unknown": func(b *forged) { b.rename("order-1"); b.writes[0].expected = "NULL" },
	"a gap that a write of less than nothing makes up for": func(b *forged) {
		b.writes[0].count, b.events[0].nth = "2", "2"
		b.addWrite("order-3", "-1", "-1")
	},
	"a gap that events of a refused append make up for": func(b *forged) {
		b.writes[0].count, b.events[0].nth = "2", "2"
		b.addWrite("order-3", "99", "1")
		refused := b.events[0]
		refused.write, refused.nth, refused.stream, refused.key = "2", "1", "'order-3'", keyOf("order-3")
		b.events = append(b.events, refused, refused)
	},

	// Subscripts count from one, and unnest does not care.
	"keys that do not count from one": func(b *forged) { // order-3 gets the version of order-1
		b.rename("order-1")
		b.addWrite("order-3", "-1", "0")
		b.events[0].key, b.events[0].stream = keyOf("order-3"), "'order-3'"
		b.given = fromZero(b, "stream_keys")
	},
	"counts that do not count from one": func(b *forged) { // write 1 is checked with the count of write 2, which is refused
		b.addWrite("order-3", "99", "2")
		b.events[0].nth = "2"
		b.given = fromZero(b, "counts")
	},
	"appends that do not count from one": func(b *forged) { // append 1 is refused, and made in the place of append 2
		b.writes[0].expected, b.writes[0].count, b.events[0].nth = "99", "2", "2"
		b.addWrite("order-3", "-1", "1")
		b.given = fromZero(b, "appends")
	},
	"writes of events that do not count from one": func(b *forged) { // so is its event
		b.writes[0].expected, b.writes[0].count, b.events[0].nth = "99", "2", "2"
		b.addWrite("order-3", "-1", "1")
		second := b.events[0]
		second.write, second.nth, second.stream, second.key = "2", "1", "'order-3'", keyOf("order-3")
		b.events = append(b.events, second)
		b.given = fromZero(b, "writes")
	},

	"a receipt that names another stream": func(b *forged) {
		b.writes[0].id = "'order-99'"
		b.command("1", "gen_random_uuid()")
	},
	"a receipt of an append that was not made": func(b *forged) { b.command("7", "gen_random_uuid()") },
	"a receipt of a command without an id":     func(b *forged) { b.command("1", "NULL") },
	"two receipts of one command": func(b *forged) {
		b.command("1", "md5('1')::uuid")
		b.command("1", "md5('1')::uuid")
	},
}

// forged is a call of leftfold.append, each value as SQL.
type forged struct {
	writes     []forgedWrite
	events     []forgedEvent
	commands   []forgedCommand
	conditions []forgedCondition
	given      map[string]string // parameters, whatever the rows say
	applies    string            // default: 0
}

type forgedWrite struct{ append, key, expected, count, id string }

type forgedEvent struct{ write, nth, id, key, slice, schema, stream, kind, tags, metadata, data string }

type forgedCommand struct{ append, id, hash string }

type forgedCondition struct{ append, after, untagged, tags, types string }

// honest appends a tagged event to the stream order-2.
func honest() *forged {
	return &forged{
		writes: []forgedWrite{{"1", keyOf("order-2"), "-1", "1", "NULL"}},
		events: []forgedEvent{{
			write: "1", nth: "1", id: "gen_random_uuid()", key: keyOf("order-2"), slice: fmt.Sprint(eventstore.StreamID("order-2").Slice()),
			schema: "1", stream: "'order-2'", kind: "'order.placed'", tags: "'customer:1'", metadata: "NULL", data: "''",
		}},
	}
}

// two is two appends of two events, one with a command and one with a condition: to order-2,
// and to order-1 with the expected version.
func two(expected string) *forged {
	b := honest()
	b.addEvent()
	b.addWrite("order-1", expected, "2")
	for _, e := range b.events[:2] {
		e.write, e.key, e.stream = "2", keyOf("order-1"), "'order-1'"
		b.events = append(b.events, e)
	}
	b.command("1", "gen_random_uuid()")
	b.command("2", "gen_random_uuid()")
	b.conditions = []forgedCondition{{"1", "0", "false", "'customer:none'", "NULL"}, {"2", "2", "true", "NULL", "'order.none'"}}
	return b
}

func (b *forged) addEvent() {
	second := b.events[0]
	second.nth = "2"
	b.events, b.writes[0].count = append(b.events, second), "2"
}

// addWrite adds an append without events.
func (b *forged) addWrite(stream eventstore.StreamID, expected, count string) {
	b.writes = append(b.writes, forgedWrite{fmt.Sprint(len(b.writes) + 1), keyOf(stream), expected, count, "NULL"})
}

func (b *forged) rename(stream eventstore.StreamID) {
	b.writes[0].key, b.events[0].key = keyOf(stream), keyOf(stream)
	b.events[0].stream, b.events[0].slice = "'"+string(stream)+"'", fmt.Sprint(stream.Slice())
}

func (b *forged) command(number, id string) {
	b.commands = append(b.commands, forgedCommand{number, id, "md5('')::uuid"})
}

// fromZero gives an array of two elements the indexes 0 and 1.
func fromZero(b *forged, name string) map[string]string {
	return map[string]string{name: counting("[0:1]", b.parameter(name)) + "::" + columns[name] + "[]"}
}

// counting gives an array other indexes.
func counting(indexes, array string) string {
	return "('" + indexes + "={' || array_to_string(" + array + ", ',', 'NULL') || '}')"
}

// columns are the parameters that are arrays, by the type of their elements.
var columns = map[string]string{
	"appends": "integer", "stream_keys": "uuid", "expected": "bigint", "counts": "integer", "write_ids": "text",
	"writes": "integer", "nths": "integer", "event_ids": "uuid", "event_keys": "uuid", "slices": "smallint", "schema_versions": "smallint",
	"stream_ids": "text", "types": "text", "tags": "text", "metadata": "bytea", "data": "bytea",
	"command_appends": "integer", "command_ids": "uuid", "command_hashes": "uuid",
	"condition_appends": "integer", "condition_afters": "bigint", "condition_untagged": "boolean", "condition_tags": "text", "condition_types": "text",
	"life_appends": "integer", "lives": "integer",
}

// parameter returns what the rows say, as an array; NULL if there are no commands or conditions.
func (b *forged) parameter(name string) string {
	var rows []map[string]string
	for _, w := range b.writes {
		rows = append(rows, map[string]string{"appends": w.append, "stream_keys": w.key, "expected": w.expected, "counts": w.count, "write_ids": w.id})
	}
	for _, e := range b.events {
		rows = append(rows, map[string]string{
			"writes": e.write, "nths": e.nth, "event_ids": e.id, "event_keys": e.key, "slices": e.slice, "schema_versions": e.schema,
			"stream_ids": e.stream, "types": e.kind, "tags": e.tags, "metadata": e.metadata, "data": e.data,
		})
	}
	for _, c := range b.commands {
		rows = append(rows, map[string]string{"command_appends": c.append, "command_ids": c.id, "command_hashes": c.hash})
	}
	for _, c := range b.conditions {
		rows = append(rows, map[string]string{
			"condition_appends": c.append, "condition_afters": c.after, "condition_untagged": c.untagged, "condition_tags": c.tags, "condition_types": c.types,
		})
	}
	var values []string
	for _, row := range rows {
		if value, ok := row[name]; ok {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return "NULL"
	}
	return "ARRAY[" + strings.Join(values, ", ") + "]::" + columns[name] + "[]"
}

func (b *forged) sql(function string) string {
	call := "SELECT leftfold." + function + "(writer => gen_random_uuid(), session => 0, fenced => 0, known => 0"
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		value, given := b.given[name]
		if !given {
			value = b.parameter(name)
		}
		call += ", " + name + " => " + value
	}
	return call + ", applies => " + cmp.Or(b.applies, "0") + ")"
}

// loneCall is a call of leftfold.append_one, each value as SQL.
type loneCall map[string]string

func honestOne(stream eventstore.StreamID, version int) loneCall {
	return loneCall{
		"fenced": "(SELECT fences FROM leftfold.store)", "known": "0", "stream_key": keyOf(stream), "expected": fmt.Sprint(version),
		"slice": fmt.Sprint(stream.Slice()), "stream_id": "'" + string(stream) + "'", "event_id": "gen_random_uuid()",
		"schema_version": "1::smallint", "type": "'order.placed'", "metadata": "NULL", "data": "''",
	}
}

func (c loneCall) sql() string {
	var values []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		values = append(values, name+" => ("+c[name]+")"+map[string]string{"slice": "::smallint", "schema_version": "::smallint"}[name])
	}
	return "SELECT leftfold.append_one(" + strings.Join(values, ", ") + ")"
}

func keyOf(stream eventstore.StreamID) string {
	sum := sha256.Sum256([]byte(stream))
	return fmt.Sprintf("'%x'", sum[:16])
}
