package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// A log of 100,000 events in 1000 streams. Each event carries the tag of its customer, one of
// 1000, and half of them that of a country.
const fillSQL = `
ALTER TABLE leftfold.events SET (autovacuum_enabled = off);
ALTER TABLE leftfold.event_tags SET (autovacuum_enabled = off);
ALTER TABLE leftfold.commands SET (autovacuum_enabled = off);
INSERT INTO leftfold.events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, data)
SELECT n + 1, n / 1000 + 1, now(), gen_random_uuid(), encode(substring(sha256(convert_to('order-' || n % 1000, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid,
	0, 1, 'order-' || n % 1000, CASE n % 10 WHEN 0 THEN 'order.placed' ELSE 'item.added' END,
	'customer:' || n % 1000 || CASE n % 2 WHEN 0 THEN E'\ncountry:UK' ELSE '' END, repeat('x', 100)::bytea
FROM generate_series(0, 99999) n;
INSERT INTO leftfold.event_tags (tag, position)
SELECT t.tag, e.position FROM leftfold.events e, string_to_table(e.tags, E'\n') t(tag);
INSERT INTO leftfold.commands (command_id, hash, position, versions, recorded_at)
SELECT md5(n::text)::uuid, md5('')::uuid, n, '{}', now() FROM generate_series(1, 20000) n`

const (
	byPosition = "events_pkey"
	byStream   = "events_stream_key_version_key"
	byTag      = "event_tags_pkey"
)

// planned are the statements that may meet a long log, with arguments and the indexes that
// their files name.
func planned(sql statements) []plannedStatement {
	key := streamKey("order-7")
	stream := fmt.Sprintf("'%x'", key)
	const page = "0, 100000, 5000"
	return []plannedStatement{
		{sql.head, "", []string{byPosition}},
		{sql.command, "md5('7')::uuid", []string{"commands_pkey"}},
		{sql.streamEnd, stream, []string{byStream}},
		{sql.streamForwards, stream + ", 50, 9223372036854775807, 1000", []string{byStream}},
		{sql.streamBackwards, stream + ", 0, 9223372036854775807, 1000", []string{byStream}},
		{sql.versionAt, stream + ", 70000", []string{byStream}},
		{sql.logStart, "70000, 0", []string{byPosition}},
		{sql.logBegin, page + ", NULL", []string{byPosition}},
		{sql.logBegin, page + ", '{order.placed}'", []string{byPosition}},
		{sql.logAll, page, []string{byPosition}},
		{sql.logTypes, page + ", '{order.placed}'", []string{byPosition}},
		{sql.logPositions, "'{7,8,70000}', 100000", []string{byPosition}},
		{sql.logPositions, "'{" + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(everyTwentieth())), ","), "[]") + "}', 100000", []string{byPosition}},
		{sql.tagged, "'customer:7', " + page + ", NULL, NULL", []string{byTag, byPosition}},
		{sql.tagged, "'customer:7', " + page + ", '{country:UK}', NULL", []string{byTag, byPosition}},
		{sql.tagged, "'country:UK', " + page + ", '{customer:8}', '{order.placed}'", []string{byTag, byPosition}},
		{sql.tagSample, "'country:UK', 0, 100000, 64", []string{byTag}},
	}
}

func everyTwentieth() (positions []int) { // a page of them
	for n := range pageEvents {
		positions = append(positions, 20*(n+1))
	}
	return positions
}

type plannedStatement struct {
	statement

	args    string
	indexes []string
}

// TestPlans holds the statements to their indexes at size: with the statistics of a table that
// was never analyzed, and with good ones; with a plan for these arguments, and with one for any.
func TestPlans(t *testing.T) {
	t.Parallel()
	pool := longLog(t)
	for _, prepare := range []string{"", "ANALYZE"} {
		if prepare != "" {
			_, err := pool.Exec(t.Context(), prepare)
			require.NoError(t, err)
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			for _, s := range planned(newStatements(DefaultSchema)) {
				rolledBack(t, pool, func(tx pgx.Tx) {
					require.Empty(t, s.wrong(t, tx, mode), "%s(%.60s), %s, %s", s.name, s.args, mode, prepare)
				})
			}
		}
	}
	// The mutants: without its index, or with plans that the planner would not choose.
	for index, sabotage := range map[string]string{
		byStream:        "ALTER TABLE leftfold.events DROP CONSTRAINT events_stream_key_version_key",
		byPosition:      "ALTER TABLE leftfold.events DROP CONSTRAINT events_pkey",
		byTag:           "ALTER TABLE leftfold.event_tags DROP CONSTRAINT event_tags_pkey",
		"commands_pkey": "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off",
	} {
		for _, s := range planned(newStatements(DefaultSchema)) {
			if !slices.Contains(s.indexes, index) {
				continue
			}
			rolledBack(t, pool, func(tx pgx.Tx) {
				_, err := tx.Exec(t.Context(), sabotage)
				require.NoError(t, err)
				require.NotEmpty(t, s.wrong(t, tx, "force_custom_plan"), "%s without %s", s.name, index)
			})
		}
	}
}

// wrong returns what is wrong with the plan of the statement.
func (s plannedStatement) wrong(t *testing.T, tx pgx.Tx, mode string) (findings []string) {
	t.Helper()
	execute := "EXECUTE planned"
	if s.args != "" {
		execute += "(" + s.args + ")"
	}
	script := fmt.Sprintf("SET LOCAL jit = off; SET LOCAL plan_cache_mode = %s; PREPARE planned AS %s", mode, s.text)
	require.NoError(t, tx.Conn().PgConn().Exec(t.Context(), script).Close(), s.name)
	var text []byte
	require.NoError(t, tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+execute, pgx.QueryExecModeSimpleProtocol).Scan(&text), s.name)
	require.NoError(t, tx.Conn().PgConn().Exec(t.Context(), "DEALLOCATE planned").Close())
	var plan []struct{ Plan node }
	require.NoError(t, json.Unmarshal(text, &plan))
	used := map[string]bool{}
	plan[0].Plan.walk(func(n node) {
		used[n.Index] = true
		if n.Type == "Seq Scan" && slices.Contains([]string{"events", "event_tags", "commands"}, n.Relation) {
			findings = append(findings, "sequential scan of "+n.Relation)
		}
	})
	for _, index := range s.indexes {
		if !used[index] {
			findings = append(findings, "does not use "+index)
		}
	}
	return findings
}

// node is a node of a plan, as EXPLAIN (FORMAT JSON) has it.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Plans    []node `json:"Plans"`
}

func (n node) walk(visit func(node)) {
	visit(n)
	for _, child := range n.Plans {
		child.walk(visit)
	}
}

// Appends and reads never walk a table, however long it is: counted by the server, in a
// transaction that is taken back. Appends are made as in the transactions of callers, and as in
// the session of the appender.
func TestNothingScansALongTable(t *testing.T) {
	t.Parallel()
	pool := longLog(t)
	store := openInternal(t, pool)
	for _, prepare := range []string{"", "ANALYZE"} {
		_, err := pool.Exec(t.Context(), prepare)
		require.NoError(t, err)
		for name, use := range uses {
			require.Empty(t, scansOf(t, pool, "", store.In, use), "%s, %s", name, prepare)
			require.Empty(t, scansOf(t, pool, "", store.ownSession, use), "%s, in a session of ours, %s", name, prepare)
		}
	}
	for _, mutant := range []struct{ use, sabotage string }{
		{"a condition over one tag", "ALTER TABLE leftfold.event_tags DROP CONSTRAINT event_tags_pkey"},
		{"a condition over two tags", "ALTER TABLE leftfold.event_tags DROP CONSTRAINT event_tags_pkey"},
		{"an append", "ALTER TABLE leftfold.events DROP CONSTRAINT events_stream_key_version_key"},
		{"a lone event", "ALTER TABLE leftfold.events DROP CONSTRAINT events_stream_key_version_key"},
		{"a lone event", "ALTER TABLE leftfold.events DROP CONSTRAINT events_pkey"},
		{"a command", "ALTER TABLE leftfold.commands DROP CONSTRAINT commands_pkey"},
		{"a read of a stream", "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off"},
		{"a read of the log by a tag", "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off"},
	} {
		require.NotEmpty(t, scansOf(t, pool, mutant.sabotage, store.In, uses[mutant.use]), mutant)
		require.NotEmpty(t, scansOf(t, pool, mutant.sabotage, store.ownSession, uses[mutant.use]), "%s, in a session of ours", mutant)
	}
}

// ownSession is the store inside a transaction, with appends as the appender makes them.
func (s *Store) ownSession(tx pgx.Tx) eventstore.Store { return ownSession{s.in(tx)} }

type ownSession struct{ *txStore }

func (o ownSession) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	prepared, err := request.Prepare(o.store.limits)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	one := []*groupcommit.Pending{groupcommit.NewPending(prepared)}
	on, sql := session{conn: o.tx.Conn()}, o.store.db.sql
	if err := on.one(ctx, sql.settings, func([][]byte) error { return nil }); err != nil {
		return eventstore.Receipt{}, err
	}
	var got answer
	var params parameters
	const known = 99_000
	if isPlain(one, o.store.identity) {
		scan := func(row [][]byte) error { return got.scanOne(row, flight{appends: one}) }
		err = on.one(ctx, sql.appendOne, scan, oneValues(0, known, prepared.Writes[0])...)
		if got.declined {
			return eventstore.Receipt{}, errors.New("a lone event was declined")
		}
	} else {
		params.encode(one, o.store.identity.Store)
		err = on.one(ctx, sql.append, got.scan, params.values(nil, 0, 0, known, 0)...)
	}
	if err != nil {
		return eventstore.Receipt{}, err
	}
	got.outcomes(o.store.identity.Store, one)
	return one[0].Receipt, one[0].Err
}

var uses = map[string]func(t *testing.T, store eventstore.Store){
	"an append": func(t *testing.T, store eventstore.Store) {
		for _, expected := range []eventstore.ExpectedVersion{eventstore.Any, eventstore.Exactly(101), eventstore.StreamExists} {
			appendTo(t, store, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-7", Expected: expected, Events: tagged("customer:7")}}})
		}
	},
	"a lone event": func(t *testing.T, store eventstore.Store) {
		for _, w := range []eventstore.Write{{Stream: "order-7", Expected: eventstore.Exactly(100)}, {Stream: "order-new", Expected: eventstore.NoStream}} {
			w.Events = tagged()
			appendTo(t, store, eventstore.AppendRequest{Writes: []eventstore.Write{w}})
		}
	},
	"a command": func(t *testing.T, store eventstore.Store) {
		request := eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.NewCommandID("place")},
			Writes:  []eventstore.Write{{Stream: "order-7", Events: tagged("customer:7")}, {Stream: "order-new", Expected: eventstore.NoStream, Events: tagged()}},
		}
		appendTo(t, store, request)
		appendTo(t, store, request)
		_, known, err := store.LookupCommand(t.Context(), request.Command)
		require.NoError(t, err)
		require.True(t, known)
	},
	"a condition over one tag": func(t *testing.T, store eventstore.Store) {
		appendTo(t, store, under(eventstore.Tagged("customer:none"), 0))
		appendTo(t, store, under(eventstore.Tagged("customer:8"), 99_990))
		_, err := store.Append(t.Context(), under(eventstore.Tagged("customer:8"), 0))
		require.ErrorIs(t, err, eventstore.ErrConditionFailed)
	},
	"a condition over two tags": func(t *testing.T, store eventstore.Store) {
		appendTo(t, store, under(eventstore.Tagged("country:UK", "customer:9"), 0)) // never both
	},
	"a condition over tags and types": func(t *testing.T, store eventstore.Store) {
		appendTo(t, store, under(eventstore.Query{Items: []eventstore.QueryItem{{Types: []string{"order.none"}, Tags: []eventstore.Tag{"customer:8"}}}}, 0))
	},
	"a condition over types": func(t *testing.T, store eventstore.Store) {
		appendTo(t, store, under(eventstore.Types("order.none"), 91_000))
	},
	"a read of a stream": func(t *testing.T, store eventstore.Store) {
		for _, in := range []eventstore.StreamRange{{}, {Backwards: true, Limit: 1}, {After: 50, Through: 60}} {
			for _, err := range store.ReadStream(t.Context(), "order-7", in) {
				require.NoError(t, err)
			}
		}
	},
	"a read of the log": func(t *testing.T, store eventstore.Store) { readAll(t, store, eventstore.LogQuery{After: 90_000}) },
	"a read of the log by types": func(t *testing.T, store eventstore.Store) {
		readAll(t, store, eventstore.LogQuery{Query: eventstore.Types("order.placed"), After: 90_000})
	},
	"a read of the log by a tag": func(t *testing.T, store eventstore.Store) {
		readAll(t, store, eventstore.LogQuery{Query: eventstore.Tagged("customer:7")})
	},
	"a read of the log by a tag that half of it carries": func(t *testing.T, store eventstore.Store) {
		readAll(t, store, eventstore.LogQuery{Query: eventstore.Tagged("country:UK"), Limit: 10_000})
	},
}

func tagged(tags ...eventstore.Tag) []eventstore.EventData {
	return []eventstore.EventData{{Type: "order.placed", Tags: tags}}
}

func under(query eventstore.Query, after eventstore.Position) eventstore.AppendRequest {
	return eventstore.AppendRequest{
		Writes:    []eventstore.Write{{Stream: "order-new", Events: tagged("customer:new")}},
		Condition: &eventstore.Condition{FailIf: query, After: after},
	}
}

func appendTo(t *testing.T, store eventstore.Store, request eventstore.AppendRequest) {
	t.Helper()
	_, err := store.Append(t.Context(), request)
	require.NoError(t, err)
}

func readAll(t *testing.T, store eventstore.Store, query eventstore.LogQuery) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), query)
	require.NoError(t, err)
	n := 0
	for _, err := range read.Events() {
		require.NoError(t, err)
		n++
	}
	require.Positive(t, n)
}

// scansOf returns how often each long table was walked by what use does, if at all.
func scansOf(t *testing.T, pool *pgxpool.Pool, before string, in func(pgx.Tx) eventstore.Store, use func(*testing.T, eventstore.Store)) map[string]int64 {
	t.Helper()
	scans := map[string]int64{}
	rolledBack(t, pool, func(tx pgx.Tx) {
		if before != "" {
			_, err := tx.Exec(t.Context(), before)
			require.NoError(t, err)
		}
		count := func() map[string]int64 {
			rows, err := tx.Query(t.Context(), `SELECT relname::text, coalesce(seq_scan, 0) FROM pg_stat_xact_user_tables
				WHERE schemaname = 'leftfold' AND relname IN ('events', 'event_tags', 'commands')`)
			require.NoError(t, err)
			counts := map[string]int64{}
			var name string
			var n int64
			_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error { counts[name] = n; return nil })
			require.NoError(t, err)
			require.Len(t, counts, 3)
			return counts
		}
		start := count()
		use(t, in(tx))
		for name, n := range count() {
			if n > start[name] {
				scans[name] = n - start[name]
			}
		}
	})
	return scans
}

func rolledBack(t *testing.T, pool *pgxpool.Pool, f func(tx pgx.Tx)) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	f(tx)
}

func longLog(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := internalPool(t)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	require.NoError(t, conn.Conn().PgConn().Exec(t.Context(), fillSQL).Close())
	return pool
}
