package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/pgproxy"
)

// loneEvent is what leftfold.append_one is for: one plain event at a known version.
func loneEvent(stream eventstore.StreamID, version eventstore.Version) eventstore.AppendRequest {
	request := oneEvent(stream)
	request.Writes[0].Expected = eventstore.Exactly(version)
	return request
}

// calls counts what a store has sent to each of the functions that append.
type calls struct{ lone, batch atomic.Int64 }

func (c *calls) hook(f pgproxy.Frame) pgproxy.Action {
	if isLone(f) {
		c.lone.Add(1)
	}
	if isBatch(f) {
		c.batch.Add(1)
	}
	return pgproxy.Forward
}

// since returns how many there were since it was last asked.
func (c *calls) since() (lone, batch int64) { return c.lone.Swap(0), c.batch.Swap(0) }

// seeded is a store with three events in order-1, and in gone-1 two and a tombstone, whose
// appends are counted.
func seeded(t *testing.T, pool *pgxpool.Pool) (*postgres.Store, *calls) {
	t.Helper()
	var sent calls
	store := throughProxy(t, pool, sent.hook)
	for _, stream := range []eventstore.StreamID{"order-1", "gone-1", "order-1", "gone-1", "order-1"} {
		_, err := store.Append(t.Context(), oneEvent(stream))
		require.NoError(t, err)
	}
	_, err := store.DeleteStream(t.Context(), "gone-1", eventstore.Any)
	require.NoError(t, err)
	sent.since()
	return store, &sent
}

func TestALoneEventIsAppendedLikeOneOfABatch(t *testing.T) {
	require.Empty(t, appendAlone(t, newPool(t)))
}

func TestMutantsThatAppendALoneEventDifferentlyAreCaught(t *testing.T) {
	t.Parallel()
	for _, mutant := range []struct{ old, made string }{
		{"append_one.metadata, append_one.data", "coalesce(append_one.metadata, ''), append_one.data"},
		{"append_one.metadata, append_one.data", "append_one.metadata, append_one.data || 'x'"},
		{"append_one.event_id, append_one.stream_key, append_one.slice", "append_one.event_id, append_one.stream_key, 0::smallint"},
		{"append_one.event_id, append_one.stream_key", "gen_random_uuid(), append_one.stream_key"},
		{"append_one.schema_version, append_one.stream_id", "1::smallint, append_one.stream_id"},
		{"append_one.expected + 1, clock_timestamp()", "append_one.expected + 1, '2026-01-01'::timestamptz"},
		{"nothing := pg_notify('leftfold', made::text);", ""},
		{"nothing := pg_notify('leftfold', made::text);", "nothing := pg_notify('leftfold', expected::text);"},
		{"RETURN made;", "RETURN made + 1;"},
	} {
		pool := newPool(t)
		mutate(t, pool, "append_one", mutant.old, mutant.made)
		require.NotEmpty(t, appendAlone(t, pool), mutant.made)
	}
}

// appendAlone appends events alone and, at the next version, in a batch, and says how they
// differ, and what is wrong with the receipt and the notification.
func appendAlone(t *testing.T, pool *pgxpool.Pool) (findings []string) {
	t.Helper()
	store, sent := seeded(t, pool)
	ear, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer ear.Release()
	_, err = ear.Exec(t.Context(), "LISTEN leftfold")
	require.NoError(t, err)
	started := time.Now()
	for n, event := range []eventstore.EventData{
		{Type: "order.placed"},
		{Type: "order.placed", Data: []byte("{}"), Metadata: []byte(`{"actor":"clerk"}`)},
		{Type: "order.placed", Data: []byte{}, Metadata: []byte{}},
		{Type: `größe."geändert"`, SchemaVersion: 32767, Data: []byte{0, 255}},
	} {
		event.ID = eventstore.NewEventID()
		stream := eventstore.NewStreamID("größe", fmt.Sprintf("'\"\\ %d", n))
		request := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Expected: eventstore.NoStream, Events: []eventstore.EventData{event}}}}
		receipt, err := store.Append(t.Context(), request)
		require.NoError(t, err)
		if lone, batch := sent.since(); lone != 1 || batch != 0 {
			findings = append(findings, fmt.Sprintf("event %d was sent %d times alone and %d times in a batch", n, lone, batch))
		}
		head, err := store.Head(t.Context())
		require.NoError(t, err)
		if want := (eventstore.Receipt{Token: head, Versions: map[eventstore.StreamID]eventstore.Version{stream: 1}}); !reflect.DeepEqual(receipt, want) {
			findings = append(findings, fmt.Sprintf("the receipt of event %d is %v, want %v", n, receipt, want))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		heard, err := ear.Conn().WaitForNotification(ctx)
		cancel()
		if err != nil || heard.Payload != fmt.Sprint(head.Position) {
			findings = append(findings, fmt.Sprintf("the notification of event %d is %v, %v", n, heard, err))
		}
		request.Writes[0].Expected = eventstore.Any
		_, err = store.Append(t.Context(), request) // the id may be used again: it has no index
		require.NoError(t, err)
		if err == nil && heard != nil {
			_, err = ear.Conn().WaitForNotification(t.Context())
			require.NoError(t, err)
		}
		sent.since()
		var kinds int
		var oldest time.Time
		require.NoError(t, pool.QueryRow(t.Context(), `
			SELECT count(DISTINCT to_jsonb(e) - ARRAY['position', 'version', 'recorded_at']), min(recorded_at)
			FROM leftfold.events e WHERE stream_id = $1`, stream).Scan(&kinds, &oldest))
		if kinds != 1 || oldest.Before(started) {
			findings = append(findings, fmt.Sprintf("event %d is not the same alone and in a batch", n))
		}
	}
	return findings
}

// declined are calls that append_one does not take, and the check without which it would.
var declined = []struct {
	name, before string // done in the same transaction
	level        pgx.TxIsoLevel
	stream       eventstore.StreamID
	version      int
	change       loneCall
	old, made    string
}{
	{name: "an older version", stream: "order-1", version: 2, old: "append_one.expected = coalesce(", made: "0 <= coalesce("},
	{name: "a version to come", stream: "order-1", version: 7, old: "append_one.expected = coalesce(", made: "0 <= coalesce("},
	{name: "a stream that exists", stream: "order-1", version: 0, old: "append_one.expected = coalesce(", made: "0 <= coalesce("},
	{name: "a stream that does not exist", stream: "order-2", version: 1, old: "append_one.expected = coalesce(", made: "0 <= coalesce("},
	{name: "a deleted stream", stream: "gone-1", version: 3, old: "CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END", made: "e.version"},
	{
		name: "an empty log", before: "SET LOCAL session_replication_role = replica; TRUNCATE leftfold.events", stream: "order-2",
		old: "WHERE s.head IS NOT NULL", made: "WHERE true",
	},
	{name: "a log that is shorter than it was", stream: "order-2", change: loneCall{"known": "7"}, old: "WHERE s.head IS NOT NULL", made: "WHERE true"},
	{
		name: "a fence since the session began", before: "SELECT leftfold.settle(gen_random_uuid(), 1, 0, '{}', '{}')", stream: "order-2", change: loneCall{"fenced": "0"},
		old: " AND s.fences = fenced", made: "",
	},
	{name: "another search path", before: "SET LOCAL search_path = pg_catalog", stream: "order-2", old: pathCheck, made: "false"},
	{name: "a repeatable read", level: pgx.RepeatableRead, stream: "order-2", old: "current_setting('transaction_isolation') <> 'read committed'", made: "false"},
	{name: "a serializable transaction", level: pgx.Serializable, stream: "order-2", old: "current_setting('transaction_isolation') <> 'read committed'", made: "false"},
	{name: "a tombstone", stream: "order-1", version: 3, change: loneCall{"type": "'$stream.deleted'"}, old: "starts_with(type, '$')", made: "false"},
	{name: "a type of the store's own", stream: "order-2", change: loneCall{"type": "'$store.own'"}, old: "starts_with(type, '$')", made: "false"},
	{name: "a type without a name", stream: "order-2", change: loneCall{"type": "''"}, old: "type = ''", made: "false"},
	{name: "a slice below the first", stream: "order-2", change: loneCall{"slice": "-1"}, old: "slice NOT BETWEEN 0 AND 1023", made: "false"},
	{name: "a slice beyond the last", stream: "order-2", change: loneCall{"slice": "1024"}, old: "slice NOT BETWEEN 0 AND 1023", made: "false"},
	{name: "a schema version below one", stream: "order-2", change: loneCall{"schema_version": "0"}, old: "schema_version < 1", made: "false"},
	{name: "a deleted stream at the version that stands for it", stream: "gone-1", version: -3, old: "expected < 0", made: "false"},
}

func TestALoneEventThatIsNotPlainIsDeclined(t *testing.T) {
	pool := newPool(t)
	seeded(t, pool)
	require.Equal(t, "7", callOne(t, pool, "", "", "", pgx.ReadCommitted, honestOne("order-2", 0)))
	for _, c := range declined {
		call := honestOne(c.stream, c.version)
		maps.Copy(call, c.change)
		require.Equal(t, "declined", callOne(t, pool, "", "", c.before, c.level, call), c.name)
		require.NotEqual(t, "declined", callOne(t, pool, c.old, c.made, c.before, c.level, call), "%s: the mutant", c.name)
	}
}

// callOne calls append_one, or a mutant of it, in a transaction that it takes back.
func callOne(t *testing.T, pool *pgxpool.Pool, old, made, before string, level pgx.TxIsoLevel, call loneCall) string {
	t.Helper()
	tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	if old != "" {
		mutate(t, tx, "append_one", old, made)
	}
	require.NoError(t, tx.Conn().PgConn().Exec(t.Context(), ourPath+";"+before).Close())
	var position *int64
	switch err := tx.QueryRow(t.Context(), call.sql()).Scan(&position); {
	case err != nil:
		return err.Error()
	case position == nil:
		return "declined"
	default:
		return fmt.Sprint(*position)
	}
}

// The caller of a lone event does not see that it was declined and sent once more.
func TestADeclinedLoneEventIsAnsweredAsEver(t *testing.T) {
	t.Parallel()
	var first calls
	receipt, err := throughProxy(t, newPool(t), first.hook).Append(t.Context(), loneEvent("order-1", 0))
	require.NoError(t, err)
	require.EqualValues(t, 1, receipt.Token.Position)
	lone, batch := first.since()
	require.Equal(t, []int64{1, 1}, []int64{lone, batch}, "the log was empty")

	store, sent := seeded(t, newPool(t))
	for _, c := range []struct {
		request eventstore.AppendRequest
		is      error
	}{
		{loneEvent("order-1", 0), eventstore.ErrVersionConflict},
		{loneEvent("order-1", 2), eventstore.ErrVersionConflict},
		{loneEvent("order-1", 4), eventstore.ErrVersionConflict},
		{loneEvent("order-2", 1), eventstore.ErrVersionConflict},
		{loneEvent("gone-1", 0), eventstore.ErrStreamDeleted},
		{loneEvent("gone-1", 2), eventstore.ErrStreamDeleted},
		{loneEvent("gone-1", 3), eventstore.ErrStreamDeleted},
	} {
		_, err := store.Append(t.Context(), c.request)
		require.ErrorIs(t, err, c.is)
		lone, batch := sent.since()
		require.Equal(t, []int64{1, 1}, []int64{lone, batch})
		batched := c.request
		batched.Command.ID = eventstore.NewCommandID("not plain")
		_, want := store.Append(t.Context(), batched)
		require.EqualError(t, err, want.Error())
		sent.since()
		require.EqualValues(t, 6, headOf(t, store))
	}
}

// What is not plain is not even tried.
func TestOnlyPlainEventsGoAlone(t *testing.T) {
	store, sent := seeded(t, newPool(t))
	version := eventstore.Version(3)
	for name, change := range map[string]func(*eventstore.AppendRequest){
		"any version": func(r *eventstore.AppendRequest) { r.Writes[0].Expected = eventstore.Any },
		"a stream":    func(r *eventstore.AppendRequest) { r.Writes[0].Expected = eventstore.StreamExists },
		"a tag":       func(r *eventstore.AppendRequest) { r.Writes[0].Events[0].Tags = []eventstore.Tag{"customer:1"} },
		"a command":   func(r *eventstore.AppendRequest) { r.Command.ID = eventstore.NewCommandID("place") },
		"a condition": func(r *eventstore.AppendRequest) {
			r.Condition = &eventstore.Condition{FailIf: eventstore.Tagged("customer:none")}
		},
		"two events": func(r *eventstore.AppendRequest) {
			r.Writes[0].Events = append(r.Writes[0].Events, r.Writes[0].Events[0])
		},
		"two streams":       func(r *eventstore.AppendRequest) { r.Writes = append(r.Writes, oneEvent("order-2").Writes[0]) },
		"another's version": func(r *eventstore.AppendRequest) { r.Writes = append(r.Writes, eventstore.Write{Stream: "order-1000"}) },
	} {
		request := loneEvent("order-1", version)
		change(&request)
		receipt, err := store.Append(t.Context(), request)
		require.NoError(t, err, name)
		version = receipt.Versions["order-1"]
		lone, batch := sent.since()
		require.Equal(t, []int64{0, 1}, []int64{lone, batch}, name)
	}
	_, err := store.DeleteStream(t.Context(), "order-1", eventstore.Exactly(version))
	require.NoError(t, err)
	lone, batch := sent.since()
	require.Equal(t, []int64{0, 1}, []int64{lone, batch}, "a tombstone")
}

// A fence of whomever makes one lone event of each session take the long way, which tells the
// session of it.
func TestAfterAFenceLoneEventsAreDeclinedOnce(t *testing.T) {
	require.Empty(t, fenceOnce(t, newPool(t)))
	pool := newPool(t)
	mutate(t, pool, "append", "IF fences <> fenced THEN", "fences := fenced; IF fences <> fenced THEN") // does not tell
	require.Equal(t, []string{"event 2 was sent 1 times alone and 1 times in a batch"}, fenceOnce(t, pool))
}

func fenceOnce(t *testing.T, pool *pgxpool.Pool) (findings []string) {
	t.Helper()
	store, sent := seeded(t, pool)
	for n, want := range [][2]int64{{1, 0}, {1, 1}, {1, 0}} {
		if n == 1 {
			_, err := pool.Exec(t.Context(), "SELECT leftfold.settle(gen_random_uuid(), 1, 0, '{}', '{}')")
			require.NoError(t, err)
		}
		receipt, err := store.Append(t.Context(), loneEvent("order-1", eventstore.Version(3+n)))
		require.NoError(t, err)
		require.EqualValues(t, 7+n, receipt.Token.Position)
		if lone, batch := sent.since(); [2]int64{lone, batch} != want {
			findings = append(findings, fmt.Sprintf("event %d was sent %d times alone and %d times in a batch", n, lone, batch))
		}
	}
	return findings
}

// The standby that takes over lacks the fence of another writer, and a batch that was sent before
// arrives after ours, as out of the buffer of a proxy. What the batch knows of fences must not be
// what is so again.
func TestALostFenceDoesNotLetABatchThatWasGivenUpPass(t *testing.T) {
	require.Empty(t, arriveAfterFailover(t, newPool(t)))
	pool := newPool(t)
	mutate(t, pool, "settle", " + (random() * 1000000)::integer", "")
	require.Equal(t, []string{"a batch was appended", "a lone event was appended"}, arriveAfterFailover(t, pool))
}

func arriveAfterFailover(t *testing.T, pool *pgxpool.Pool) (findings []string) {
	t.Helper()
	seeded(t, pool)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	const settle = "SELECT leftfold.settle($1, 2, 0, '{}', '{}')"
	ours, other := eventstore.NewEventID(), eventstore.NewEventID()
	var before, known int64
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT fences FROM leftfold.store").Scan(&before))
	_, err = tx.Exec(t.Context(), settle, other.String())
	require.NoError(t, err)
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT fences FROM leftfold.store").Scan(&known))
	_, err = tx.Exec(t.Context(), "UPDATE leftfold.store SET fences = $1", before)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), settle, ours.String())
	require.NoError(t, err)

	_, err = tx.Exec(t.Context(), ourPath)
	require.NoError(t, err)
	lone := honestOne("order-3", 0)
	lone["fenced"] = fmt.Sprint(known)
	batch := strings.Replace(honest().sql("append"), "writer => gen_random_uuid(), session => 0, fenced => 0", fmt.Sprintf("writer => '%s', session => 1, fenced => %d", ours, known), 1)
	for name, sql := range map[string]string{"a batch": batch, "a lone event": lone.sql()} {
		_, err = tx.Exec(t.Context(), "SAVEPOINT before")
		require.NoError(t, err)
		switch err := attempt(t, tx, sql); {
		case err == nil:
			findings = append(findings, name+" was appended")
		case !errors.Is(err, errSkipped):
			require.Equal(t, "LF003", stateOf(err), "%v", err)
		}
		_, err = tx.Exec(t.Context(), "ROLLBACK TO before")
		require.NoError(t, err)
	}
	slices.Sort(findings)
	return findings
}

// A session that was reset lacks the settings. Its store says so once, and makes another.
func TestASessionThatWasResetIsReplaced(t *testing.T) {
	pool := newPool(t)
	store, sent := seeded(t, pool)
	const reset = "PERFORM set_config('search_path', 'public', false); RETURN made;" // nobody else can reach the session
	mutate(t, pool, "append_one", "RETURN made;", reset)
	_, err := store.Append(t.Context(), loneEvent("order-1", 3))
	require.NoError(t, err)
	mutate(t, pool, "append_one", reset, "RETURN made;")
	sent.since()
	_, err = store.Append(t.Context(), loneEvent("order-1", 4))
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.Equal(t, "LF005", stateOf(err))
	lone, batch := sent.since()
	require.Equal(t, []int64{1, 1}, []int64{lone, batch})
	_, err = store.Append(t.Context(), loneEvent("order-1", 4))
	require.NoError(t, err)
	lone, batch = sent.since()
	require.Equal(t, []int64{1, 0}, []int64{lone, batch})
}

// A session that begins on a standby, which is promoted before its first append, belongs to no
// life of the store yet. append begins one; append_one would give out positions of the old.
func TestALoneEventOfASessionThatBeganOnAStandbyStartsANewLife(t *testing.T) {
	t.Parallel()
	require.Empty(t, appendAcrossPromotion(t, func(*pgxpool.Pool) {}))
	findings := appendAcrossPromotion(t, func(primary *pgxpool.Pool) {
		mutate(t, primary, "adopt", `FROM "leftfold".store s;
END`, `FROM "leftfold".store s; read_only := false;
END`)
	})
	require.Equal(t, []string{"its receipt is of the old life"}, findings)
}

func appendAcrossPromotion(t *testing.T, sabotage func(primary *pgxpool.Pool)) (findings []string) {
	t.Helper()
	primary, replica := replicated(t)
	pool := poolOn(t, primary.URL("postgres"))
	old, err := openOn(t, pool, postgres.Options{}).Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	sabotage(pool)
	require.NoError(t, replica.CatchUp(t.Context()))
	held, promoted := make(chan struct{}), make(chan struct{})
	var sent calls
	store := throughProxy(t, poolOn(t, replica.URL("postgres")), func(f pgproxy.Frame) pgproxy.Action {
		sent.hook(f)
		if isAppend(f) && !isClosed(held) {
			close(held)
			return pgproxy.Pause(promoted)
		}
		return pgproxy.Forward
	})
	var receipt eventstore.Receipt
	answer := make(chan error, 1)
	go func() {
		var err error
		receipt, err = store.Append(t.Context(), loneEvent("order-1", 1))
		answer <- err
	}()
	<-held
	require.NoError(t, primary.StopImmediate(t.Context()))
	require.NoError(t, replica.Promote(t.Context()))
	close(promoted)
	require.NoError(t, <-answer)
	if receipt.Token.Incarnation == old.Token.Incarnation {
		findings = append(findings, "its receipt is of the old life")
		return findings
	}
	_, err = store.Append(t.Context(), loneEvent("order-1", 2))
	require.NoError(t, err)
	lone, batch := sent.since()
	require.Equal(t, []int64{0, 2}, []int64{lone, batch}, "as long as that session lasts")
	require.NoError(t, store.CutAppender())
	_, err = store.Append(t.Context(), loneEvent("order-1", 3))
	require.NoError(t, err)
	sent.since()
	_, err = store.Append(t.Context(), loneEvent("order-1", 4))
	require.NoError(t, err)
	_, err = store.Append(t.Context(), loneEvent("order-1", 5))
	require.NoError(t, err)
	lone, _ = sent.since()
	require.Positive(t, lone, "in the next one")
	return findings
}

// So does one that begins on a primary which is read-only at the time.
func TestAReadOnlySessionDoesNotAdoptTheStore(t *testing.T) {
	pool := newPool(t)
	for mode, want := range map[pgx.TxAccessMode]bool{pgx.ReadOnly: true, pgx.ReadWrite: false} {
		require.NoError(t, pgx.BeginTxFunc(t.Context(), pool, pgx.TxOptions{AccessMode: mode}, func(tx pgx.Tx) error {
			var readOnly bool
			err := tx.QueryRow(t.Context(), "SELECT read_only FROM leftfold.adopt()").Scan(&readOnly)
			require.Equal(t, want, readOnly)
			return err
		}))
	}
}
