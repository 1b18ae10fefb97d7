package postgres_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/pgproxy"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestInline(t *testing.T) {
	t.Parallel()
	pool := sharedPool(t)
	projectiontest.RunInline(t, func(t testing.TB) projectiontest.InlineParts[pgx.Tx] { return inlineIn(t, pool, newSchema(t, pool)) })
}

func inlineOn(t testing.TB, pool *pgxpool.Pool) projectiontest.InlineParts[pgx.Tx] {
	t.Helper()
	return inlineIn(t, pool, postgres.DefaultSchema)
}

// inlineIn opens stores in one schema, beside a table of counters.
func inlineIn(t testing.TB, pool *pgxpool.Pool, schema string) projectiontest.InlineParts[pgx.Tx] {
	t.Helper()
	counters := countersOn(t, pool, schema, nil)
	return projectiontest.InlineParts[pgx.Tx]{
		Open: openingInline(t, pool, schema),
		Add:  counters.Add,
		Read: counters.Read,
		SetBack: func(ctx context.Context, of projection.Generation) error {
			_, err := pool.Exec(ctx, fmt.Sprintf(`UPDATE %[1]s.segments g SET position = position - 1,
				anchor_id = (SELECT event_id FROM %[1]s.events e WHERE e.position = g.position - 1) WHERE name = $1`, schema), of.Name)
			return err
		},
	}
}

func openingInline(t testing.TB, pool *pgxpool.Pool, schema string) func(context.Context, projection.Inline[pgx.Tx]) (projectiontest.InlineStore[pgx.Tx], error) {
	return func(ctx context.Context, inline projection.Inline[pgx.Tx]) (s projectiontest.InlineStore[pgx.Tx], err error) {
		store, err := postgres.Open(ctx, pool, postgres.Options{Schema: schema, Inline: inline})
		if err != nil {
			return s, err
		}
		t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
		return projectiontest.InlineStore[pgx.Tx]{Store: store, Sink: store.Sink(), Switch: store.SwitchInline}, nil
	}
}

// The whole suite of stores, on one whose appends call a handler for every event.
func TestTortureConformanceOfAStoreWithInlineProjections(t *testing.T) {
	t.Parallel()
	pool := sharedPool(t)
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		schema := newSchema(t, pool)
		_, err := pool.Exec(t.Context(), fmt.Sprintf("CREATE TABLE %s.seen (position bigint PRIMARY KEY, stream text)", schema))
		require.NoError(t, err)
		t.Cleanup(func() {
			var differences int
			err := pool.QueryRow(context.Background(), fmt.Sprintf(`SELECT count(*) FROM %[1]s.events e FULL JOIN %[1]s.seen s
				ON s.position = e.position WHERE s.stream IS DISTINCT FROM e.stream_id`, schema)).Scan(&differences)
			require.NoError(t, err)
			require.Zero(t, differences, "what was handled is not the log")
		})
		seen := projection.NewHandler("seen", projection.HandlerOptions{Version: 1}, func(ctx context.Context, tx pgx.Tx, m eventstore.Recorded) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("INSERT INTO %s.seen VALUES ($1, $2)", schema), m.Position, m.Stream)
			return err
		})
		store := openOn(t, pool, postgres.Options{Schema: schema, Inline: projection.Inline[pgx.Tx]{Handlers: []*projection.Handler[pgx.Tx]{seen}}})
		require.NoError(t, store.SwitchInline(t.Context()))
		return store
	}, eventstoretest.Options{Divisor: 100, Without: []string{string(eventstore.Importing)}})
}

// placed is an event whose payload is any bytes.
type placed struct{ Text string }

type anyBytes struct{}

func (anyBytes) Marshal(value any) ([]byte, error) { return []byte(value.(placed).Text), nil }
func (anyBytes) Unmarshal(data []byte, into any) error {
	into.(*placed).Text = string(data)
	return nil
}

var placedEvents = func() *codec.Set {
	set, err := codec.NewSet(codec.Event[placed]("order.placed", codec.In(anyBytes{})))
	if err != nil {
		panic(err)
	}
	return set
}()

// placing counts the events of a stream, and of all together.
type placing struct {
	Events int64
	Last   int64
}

var placings = projection.NewView("placings", projection.ViewOptions{Version: 1},
	projection.WhenKeyed(func(_ placed, m eventstore.Recorded) string { return string(m.Stream) }, countPlaced),
	projection.WhenKeyed(func(placed, eventstore.Recorded) string { return "all" }, countPlaced))

func countPlaced(row *placing, _ placed, m eventstore.Recorded) {
	row.Events++
	row.Last = int64(m.Position)
}

var withPlacings = projection.Inline[pgx.Tx]{Events: placedEvents, Views: []projection.InlineView{placings}}

// openInline opens a store that applies placings inline.
func openInline(t testing.TB, pool *pgxpool.Pool) *postgres.Store {
	t.Helper()
	store := openOn(t, pool, postgres.Options{Inline: withPlacings})
	require.NoError(t, store.SwitchInline(t.Context()))
	return store
}

// misplaced says how the rows of placings differ from the log, by plain SQL.
func misplaced(t testing.TB, pool *pgxpool.Pool) (findings []string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `WITH log AS (
		SELECT stream_id AS key, count(*) AS events, max(position) AS last FROM leftfold.events WHERE type = 'order.placed' GROUP BY 1
		UNION ALL SELECT 'all', count(*), max(position) FROM leftfold.events WHERE type = 'order.placed' HAVING count(*) > 0)
		SELECT format('%s: log %s to %s, rows %s to %s', coalesce(l.key, v.key), l.events, l.last, v.events, v.last)
		FROM log l FULL JOIN leftfold.view_placings_1 v ON v.key = l.key COLLATE "C"
		WHERE (l.events, l.last) IS DISTINCT FROM (v.events, v.last)
		UNION ALL SELECT format('checkpoint %s, head %s', g.position, h.head)
		FROM leftfold.segments g, (SELECT coalesce(max(position), 0) AS head FROM leftfold.events) h WHERE g.name = 'placings' AND g.position <> h.head`)
	require.NoError(t, err)
	findings, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return findings
}

func TestMutantsOfTheGuardAreCaught(t *testing.T) {
	t.Parallel()
	for _, m := range []struct{ function, old, made, caught string }{
		{"append", "inline <> coalesce(applies, 0)", "false", "a program with other inline projections cannot append, is told which, and can read"},
		{"append_one", " AND s.inline_set = 0", "", "a program with other inline projections cannot append, is told which, and can read"},
		{"at_head", "moved <> 1", "false", "rows that lack events stop every append, until the store is switched again"},
	} {
		t.Run(m.function, func(t *testing.T) {
			pool := newPool(t)
			p := inlineOn(t, pool)
			mutate(t, pool, m.function, m.old, m.made)
			err := projectiontest.CheckInline(t.Context(), p, m.caught)
			require.Error(t, err, "the mutant survived")
			t.Log(err)
		})
	}
}

// A role that may append, and calls the functions itself, passes no projection by in silence.
func TestForgedBatchesPassNoInlineProjectionBy(t *testing.T) {
	t.Parallel()
	r := newForgery(t)
	store := openInline(t, r.owner)
	var number int64
	require.NoError(t, r.owner.QueryRow(t.Context(), "SELECT inline_set FROM leftfold.store").Scan(&number))
	for _, applies := range []string{"0", "NULL", "1", "-1", fmt.Sprint(number + 1)} {
		for _, function := range []string{"append", "append_in"} {
			b := honest()
			b.applies = applies
			_, err := r.forge(t, "appender", b.sql(function))
			require.Equal(t, "LF006", stateOf(err), "%s of %s", function, applies)
		}
	}
	_, err := r.forge(t, "appender", honestOne("order-1", 3).sql())
	require.ErrorIs(t, err, errSkipped, "a lone event is declined")
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)

	// One that lies about what it applies is noticed by the next append, and mended by a switch.
	b := honest()
	b.applies = fmt.Sprint(number)
	_, err = r.as["appender"].Exec(t.Context(), b.sql("append_in"))
	require.NoError(t, err)
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, projection.ErrInlineMismatch)
	require.ErrorContains(t, err, "placings@1")
	require.NoError(t, store.SwitchInline(t.Context()))
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	require.Empty(t, misplaced(t, r.owner))
}

func TestRolesThatAppendWithInlineProjections(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	store := openInline(t, r.owner)
	_, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	appender := openOn(t, r.as["appender"], postgres.Options{Inline: withPlacings})
	_, err = appender.Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, postgres.ErrDenied, "it may not write the rows")
	require.ErrorIs(t, appender.SwitchInline(t.Context()), postgres.ErrDenied)
	require.NoError(t, postgres.Grant(t.Context(), r.owner, "", "appender", postgres.ToProject))
	_, err = appender.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	require.NoError(t, appender.SwitchInline(t.Context()))
	require.Empty(t, misplaced(t, r.owner))
}

func TestAppendsInTheCallersTransactionApplyProjections(t *testing.T) {
	pool := newPool(t)
	store := openInline(t, pool)
	counted := func(tx pgx.Tx, key string) (n int64) {
		err := tx.QueryRow(t.Context(), "SELECT coalesce((SELECT events FROM leftfold.view_placings_1 WHERE key = $1), 0)", key).Scan(&n)
		require.NoError(t, err)
		return n
	}
	gone := errors.New("rolled back")
	for _, end := range []error{gone, nil} {
		err := store.Transact(t.Context(), pool, func(ctx context.Context, tx pgx.Tx, in eventstore.Store) error {
			require.NoError(t, store.LockIn(ctx, tx))
			before := counted(tx, "all")
			for n := range 3 {
				_, err := in.Append(ctx, toBoth(n, 0, "x"))
				require.NoError(t, err)
				conflict := oneEvent("own-0")
				conflict.Writes[0].Expected = eventstore.NoStream
				_, err = in.Append(ctx, conflict)
				require.ErrorIs(t, err, eventstore.ErrVersionConflict)
				require.Equal(t, before+3*int64(n+1), counted(tx, "all"), "the transaction sees its own")
			}
			_, err := in.(eventstore.StreamDeleter).DeleteStream(ctx, "own-2", eventstore.Any)
			require.NoError(t, err)
			return end
		})
		require.ErrorIs(t, err, end)
		require.Empty(t, misplaced(t, pool))
		if end == nil {
			_, err = store.Append(t.Context(), oneEvent("own-2"))
			require.ErrorIs(t, err, eventstore.ErrStreamDeleted)
		}
		_, err = store.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
		require.Empty(t, misplaced(t, pool))
	}
	plain := openOn(t, pool, postgres.Options{})
	err := plain.Transact(t.Context(), pool, func(ctx context.Context, _ pgx.Tx, in eventstore.Store) error {
		_, err := in.Append(ctx, oneEvent("order-1"))
		return err
	})
	require.ErrorIs(t, err, projection.ErrInlineMismatch)
	require.ErrorContains(t, err, "placings@1")
}

// A handler has the settings that it would have in a sink, and may not append: neither
// through the store nor in its transaction.
func TestAnInlineHandlerRefusesItsAppendAndTheTransactionGoesOn(t *testing.T) {
	pool := newPool(t)
	_, err := pool.Exec(t.Context(), "CREATE SCHEMA app; CREATE TABLE app.counters (name text PRIMARY KEY, n bigint)")
	require.NoError(t, err)
	config := pool.Config()
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET search_path TO app")
		return err
	}
	ours, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(ours.Close)
	var store *postgres.Store
	handler := projection.NewHandler("counting", projection.HandlerOptions{Version: 1}, func(ctx context.Context, tx pgx.Tx, m eventstore.Recorded) error {
		var scans, path string
		if err := tx.QueryRow(ctx, "SELECT current_setting('enable_seqscan'), current_setting('search_path')").Scan(&scans, &path); err != nil {
			return err
		}
		if scans != "on" || path != "app" {
			return fmt.Errorf("it runs with enable_seqscan %s, search_path %s", scans, path)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO counters AS c VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET n = c.n + 1", m.Stream); err != nil {
			return err
		}
		switch string(m.Data) {
		case "appends":
			_, err := store.Append(ctx, oneEvent("order-2"))
			return err
		case "appends in it":
			_, err := store.In(tx).Append(ctx, oneEvent("order-2"))
			return err
		case "fails in silence":
			_, _ = tx.Exec(ctx, "SELECT 1/0")
		case "commits":
			return tx.Commit(ctx)
		case "commits by hand":
			_, _ = tx.Exec(ctx, "COMMIT")
		}
		return nil
	})
	store = openOn(t, ours, postgres.Options{Inline: projection.Inline[pgx.Tx]{Handlers: []*projection.Handler[pgx.Tx]{handler}}})
	require.NoError(t, store.SwitchInline(t.Context()))
	request := func(data string) eventstore.AppendRequest {
		r := oneEvent("order-1")
		r.Writes[0].Events[0].Data = []byte(data)
		return r
	}
	var refused *projection.InlineError
	for _, data := range []string{"appends", "appends in it", "fails in silence", "commits"} {
		_, err := store.Append(t.Context(), request(data))
		require.Error(t, err, data)
		if strings.HasPrefix(data, "appends") {
			require.ErrorIs(t, err, postgres.ErrOwnTransaction)
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "counting@1", refused.Generation.String())
		}
		require.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)
		require.Zero(t, countEvents(t, pool), data)
	}
	// A transaction that the handler has committed by itself cannot be undone. It is found.
	_, err = store.Append(t.Context(), request("commits by hand"))
	require.NoError(t, err)
	require.EqualValues(t, 1, countEvents(t, pool))
	require.NoError(t, store.Transact(t.Context(), ours, func(ctx context.Context, tx pgx.Tx, in eventstore.Store) error {
		_, err := in.Append(ctx, request("appends in it"))
		require.ErrorAs(t, err, &refused)
		_, err = in.Append(ctx, request("fine"))
		return err
	}))
	_, err = store.Append(t.Context(), request("fine"))
	require.NoError(t, err)
	var n int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT n FROM app.counters").Scan(&n))
	require.Equal(t, 3, n)
}

// The server refuses a key that is too long for its index. That is no fault of the neighbours.
func TestARowThatTheServerRefusesRefusesItsOwnAppendOnly(t *testing.T) {
	pool := newPool(t)
	long := make([]byte, 20_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(long)
	text := hex.EncodeToString(long)
	texts := projection.NewView("texts", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e placed, _ eventstore.Recorded) string { return e.Text }, countPlaced))
	store := openOn(t, pool, postgres.Options{Inline: projection.Inline[pgx.Tx]{Events: placedEvents, Views: []projection.InlineView{placings, texts}}})
	require.NoError(t, store.SwitchInline(t.Context()))
	const writers = 12
	errs := make([]error, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			request := toBoth(w, 0, "short")
			if w == 5 {
				request = toBoth(w, 0, text)
			}
			_, errs[w] = store.Append(t.Context(), request)
		})
	}
	all.Wait()
	var refused *projection.InlineError
	require.ErrorAs(t, errs[5], &refused)
	require.Equal(t, "texts@1", refused.Generation.String())
	require.ErrorContains(t, refused, "key")
	errs[5] = nil
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, 3*(writers-1), headOf(t, store))
	require.Empty(t, misplaced(t, pool))
}

// After a restore or a failover the rows are where the log is, and in its life.
func TestInlineProjectionsFollowTheStoreIntoANewLife(t *testing.T) {
	pool := newPool(t)
	store := openInline(t, pool)
	_, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "UPDATE leftfold.store SET cluster = 'elsewhere/00000009'")
	require.NoError(t, err)
	restored := openOn(t, pool, postgres.Options{Inline: withPlacings})
	head, err := restored.Head(t.Context())
	require.NoError(t, err)
	require.Greater(t, head.Incarnation, int32(1))
	at, err := restored.Sink().Checkpoint(t.Context(), placings.Generation(), head.Store)
	require.NoError(t, err)
	require.Equal(t, head, at.Token(), "who asks after the head is answered at once")
	_, err = restored.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	require.Empty(t, misplaced(t, pool))
}

// inlineTrips is a hook that gives a fate to some of the round trips of batches that apply
// projections: append, load, and write with commit.
func inlineTrips(u *unlucky) pgproxy.Hook {
	return func(f pgproxy.Frame) pgproxy.Action {
		action := u.hook(f)
		if f.FromClient && f.Type == pgproxy.Bind {
			u.appending[f.Conn] = executes(f, "leftfold/append_inline") || executes(f, "leftfold/commit") || loads(f)
		}
		return action
	}
}

// loads reports whether the client has a statement of a view executed, whose name the driver
// has made. The last one before a Sync loads rows.
func loads(f pgproxy.Frame) bool {
	return f.FromClient && f.Type == pgproxy.Bind && bytes.HasPrefix(f.Payload, []byte("\x00stmt"))
}

// inlineThrough opens a store with placings inline, whose connections meet the hook.
func inlineThrough(t testing.TB, pool *pgxpool.Pool, hook pgproxy.Hook) *postgres.Store {
	t.Helper()
	openInline(t, pool)
	return throughProxyWith(t, pool, hook, postgres.Options{Inline: withPlacings})
}

func TestLostAnswersOfAppendsWithProjectionsAreSettled(t *testing.T) {
	t.Parallel()
	for _, c := range fates {
		for trip := range 3 {
			t.Run(fmt.Sprintf("trip %d, %s", trip+1, c.name), func(t *testing.T) {
				pool := newPool(t)
				findings, cuts := loseInline(t, pool, c.fate, trip, func(*postgres.Store) {})
				require.Empty(t, findings)
				require.Equal(t, 2, cuts)
			})
		}
	}
}

func TestMutantThatCommitsAppendsBeforeTheirRowsIsCaught(t *testing.T) {
	findings, _ := loseInline(t, newPool(t), fate{pgproxy.Cut, pgproxy.Forward}, 1, (*postgres.Store).InlineInHalves)
	require.NotEmpty(t, findings)
	t.Log(findings)
}

// loseInline loses the third and the fifth time one of the round trips of a batch.
func loseInline(t *testing.T, pool *pgxpool.Pool, f fate, trip int, plant func(*postgres.Store)) (findings []string, cuts int) {
	t.Helper()
	sent := 0
	u := newUnlucky(func(bool) (fate, bool) {
		n := sent
		sent++
		return f, n == 6+trip || n == 12+trip
	})
	store := inlineThrough(t, pool, inlineTrips(u))
	plant(store)
	findings = appendUnderCuts(t, []eventstore.Store{store}, toBoth, 1, 8)
	return append(findings, misplaced(t, pool)...), u.cuts
}

// A fifth of the round trips fails, in two programs, and no append has a command id.
func TestTortureLostAnswersOfAppendsWithProjections(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	var opened atomic.Bool // to open a store is no trip of a batch
	var stores []eventstore.Store
	for range 2 {
		u := newUnlucky(func(bool) (fate, bool) {
			return fates[rand.IntN(len(fates))].fate, opened.Load() && rand.IntN(15) == 0
		})
		stores = append(stores, inlineThrough(t, pool, inlineTrips(u)))
	}
	opened.Store(true)
	require.Empty(t, appendUnderCuts(t, stores, toBoth, 8, 50*eventstoretest.Scale))
	require.Empty(t, misplaced(t, pool))
}

// A program that stops in the middle of an append, as on a host that is paused, gives the lock
// of the store back. What it has done by then is undone, and made once when it goes on.
func TestAProgramThatStopsInsideAnAppendGivesTheLockBack(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	stopped, resume := make(chan struct{}), make(chan struct{})
	appended, once := false, false
	slow := inlineThrough(t, pool, func(f pgproxy.Frame) pgproxy.Action {
		appended = appended || executes(f, "leftfold/append_inline")
		if appended && loads(f) && !once {
			once = true
			close(stopped)
			<-resume
		}
		return pgproxy.Forward
	})
	answer := make(chan error, 1)
	go func() {
		_, err := slow.Append(t.Context(), oneEvent("order-1"))
		answer <- err
	}()
	<-stopped
	other := openOn(t, pool, postgres.Options{Inline: withPlacings})
	_, err := other.Append(t.Context(), oneEvent("order-2"))
	for errors.Is(err, eventstore.ErrStoreBusy) {
		_, err = other.Append(t.Context(), oneEvent("order-2"))
	}
	require.NoError(t, err)
	close(resume)
	require.NoError(t, <-answer)
	require.EqualValues(t, 2, countEvents(t, pool))
	require.Empty(t, misplaced(t, pool))
}

// A worker attends although its projection is inline, and stops while it has the segments locked.
func TestAWorkerThatStopsInsideAnAttendanceHoldsUpNoAppend(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	store := openInline(t, pool)
	stopped, resume := make(chan struct{}), make(chan struct{})
	once := false
	slow := throughProxy(t, pool, func(f pgproxy.Frame) pgproxy.Action {
		if executes(f, "leftfold/workers") && !once { // behind the statement that locks
			once = true
			close(stopped)
			<-resume
		}
		return pgproxy.Forward
	})
	attended := make(chan error, 1)
	go func() {
		head, err := store.Head(t.Context())
		if err == nil {
			_, err = slow.Sink().Leases(placings.Generation(), head.Store).Attend(t.Context(), "worker", time.Minute, nil)
		}
		attended <- err
	}()
	<-stopped
	_, err := store.Append(t.Context(), oneEvent("order-1"))
	for errors.Is(err, eventstore.ErrStoreBusy) {
		_, err = store.Append(t.Context(), oneEvent("order-1"))
	}
	require.NoError(t, err)
	close(resume)
	require.Error(t, <-attended)
	require.Empty(t, misplaced(t, pool))
}

func TestInlineProjectionsThroughPgBouncer(t *testing.T) {
	t.Parallel()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 4})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	for _, rule := range []string{
		"appends of many writers take effect once each and in order",
		"an event that a view cannot apply refuses its own append only, and is named",
		"a handler writes in the append's transaction, and refuses its own append only",
		"a program with other inline projections cannot append, is told which, and can read",
		"a projection becomes inline from where its runner was, and goes back to it",
	} {
		t.Run(rule, func(t *testing.T) {
			direct := newPool(t)
			p := inlineOn(t, direct)
			through := poolOn(t, bouncer.URL(direct.Config().ConnConfig.Database)+"&default_query_exec_mode=exec")
			p.Open = openingInline(t, through, postgres.DefaultSchema)
			require.NoError(t, projectiontest.CheckInline(t.Context(), p, rule))
		})
	}
}

// appendInline is a child that appends with projections until it is killed.
func appendInline(add func(context.Context, pgx.Tx, string) error, plant func(*postgres.Store)) func(ctx context.Context, url, name string) error {
	return func(ctx context.Context, url, _ string) error {
		pool, err := pgxpool.New(ctx, url)
		if err != nil {
			return err
		}
		return projectiontest.AppendUntilKilled(ctx, projectiontest.InlineParts[pgx.Tx]{
			Open: func(ctx context.Context, inline projection.Inline[pgx.Tx]) (s projectiontest.InlineStore[pgx.Tx], err error) {
				store, err := postgres.Open(ctx, pool, postgres.Options{Inline: inline})
				if err != nil {
					return s, err
				}
				plant(store)
				return projectiontest.InlineStore[pgx.Tx]{Store: store, Sink: store.Sink(), Switch: store.SwitchInline}, nil
			},
			Add: add,
		})
	}
}
