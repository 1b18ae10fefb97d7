package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

const (
	hostileProcesses = 3
	hostileWriters   = 4 // in each process
)

// Writers with bad habits, in three processes, while a foreign transaction stays open: every
// reader meets every event once and in order, the log has no gap, and what was acknowledged
// is where its receipt says.
func TestTortureHostileWritersOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	run := hostileRun{
		pool: pool, table: "leftfold.events", does: "writes to the store",
		stores: []eventstore.Store{openOn(t, pool, postgres.Options{}), openOn(t, pool, postgres.Options{})},
	}
	run.do(t)
	require.Empty(t, run.findings)
	require.GreaterOrEqual(t, run.events, 5000*eventstoretest.Scale)
	for what, least := range map[string]int{
		"committed in a transaction": 100, "rolled back": 50, "several streams": 500,
		"version conflict": 50, "condition failed": 50,
	} {
		require.GreaterOrEqual(t, run.tally[what], least*eventstoretest.Scale, what)
	}
}

// A store that takes its positions from a sequence must be caught: A takes 7, B takes 8 and
// commits, a reader sees 8 and moves its checkpoint there, A commits 7.
func TestMutantWithPositionsFromASequenceLosesEvents(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	_, err := pool.Exec(t.Context(), naiveSchema)
	require.NoError(t, err)
	run := hostileRun{
		pool: pool, table: "naive.events", does: "writes to the naive store",
		stores: []eventstore.Store{&naive{pool: pool}, &naive{pool: pool}},
	}
	run.do(t)
	require.Positive(t, run.skipped, "a reader has missed events")
	require.Positive(t, run.gaps, "a transaction that was rolled back has left a gap")
}

// hostileRun lets hostile writers of several processes loose on a store, and checks it by
// plain SQL.
type hostileRun struct {
	pool   *pgxpool.Pool
	table  string
	does   string             // each of the processes
	stores []eventstore.Store // for readers

	mu    sync.Mutex
	acked map[string]eventstore.Position // payload -> position
	tally map[string]int

	events, skipped, gaps int
	findings              []string
}

func (r *hostileRun) do(t *testing.T) {
	t.Helper()
	r.acked, r.tally = map[string]eventstore.Position{}, map[string]int{}
	foreign := beginForeign(t, r.pool)
	written, done := context.WithCancel(t.Context()) // over when the last append has been answered
	defer done()
	readers := make([]*hostileReader, len(readingSteps))
	var reading, writing sync.WaitGroup
	for n, step := range readingSteps {
		readers[n] = &hostileReader{store: r.stores[n%len(r.stores)], step: step}
		reading.Go(func() { readers[n].follow(t.Context(), written) })
	}
	subscriber := &collector{}
	var subscribed error
	reading.Go(func() {
		subscribed = subscription.New("hostile", r.stores[0], eventstore.Query{}, subscriber, subscription.Options{}).Run(written)
	})
	for n := range hostileProcesses {
		writing.Go(func() {
			assert.NoError(t, runChild(t.Context(), r.does, r.pool.Config().ConnString(), fmt.Sprint(n), r.told))
		})
	}
	writing.Wait()
	foreign.end(t, r.pool)
	done()
	reading.Wait()
	require.NoError(t, subscribed)
	require.NoError(t, subscription.New("hostile", r.stores[0], eventstore.Query{}, subscriber, subscription.Options{}).CatchUp(t.Context()))
	require.False(t, t.Failed(), "a process of writers has failed")

	log := r.checkLog(t)
	for n, reader := range readers {
		require.NoError(t, reader.err)
		r.compare(fmt.Sprintf("reader %d", n), reader.seen, log)
	}
	var seen []eventstore.Position
	for _, e := range subscriber.seen {
		seen = append(seen, e.Position)
	}
	r.compare("subscription", seen, log)
	t.Logf("%d events, %v, %d missed by readers, %d gaps", r.events, r.tally, r.skipped, r.gaps)
}

// told takes a line of a child: an event that was acknowledged and its position, or what has
// happened.
func (r *hostileRun) told(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var data string
	var at eventstore.Position
	if _, err := fmt.Sscanf(line, "ack %s %d", &data, &at); err == nil {
		r.acked[data] = at
		return
	}
	r.tally[line]++
}

// checkLog holds the log against what was acknowledged, and returns its positions.
func (r *hostileRun) checkLog(t *testing.T) (log []eventstore.Position) {
	t.Helper()
	rows, err := r.pool.Query(t.Context(), "SELECT position, stream_id, version, convert_from(data, 'UTF8') FROM "+r.table+" ORDER BY position")
	require.NoError(t, err)
	versions := map[string]int{}
	var at eventstore.Position
	var stream, data string
	var version int
	_, err = pgx.ForEachRow(rows, []any{&at, &stream, &version, &data}, func() error {
		if len(log) > 0 && at != log[len(log)-1]+1 || len(log) == 0 && at != 1 {
			r.gaps++
		}
		log = append(log, at)
		if versions[stream]++; versions[stream] != version {
			r.findings = append(r.findings, fmt.Sprintf("version %d of %s stands where %d should", version, stream, versions[stream]))
		}
		if acked, ok := r.acked[data]; !ok || acked != at {
			r.findings = append(r.findings, fmt.Sprintf("event %s stands at %d; acknowledged: %v, at %d", data, at, ok, acked))
		}
		delete(r.acked, data)
		return nil
	})
	require.NoError(t, err)
	r.events = len(log)
	if r.gaps > 0 {
		r.findings = append(r.findings, fmt.Sprintf("%d gaps", r.gaps))
	}
	if len(r.acked) > 0 {
		r.findings = append(r.findings, fmt.Sprintf("%d acknowledged events are not in the log", len(r.acked)))
	}
	return log
}

func (r *hostileRun) compare(who string, seen, log []eventstore.Position) {
	times := map[eventstore.Position]int{}
	skipped, duplicated, reordered := 0, 0, 0
	for n, at := range seen {
		if n > 0 && at < seen[n-1] {
			reordered++
		}
		if times[at]++; times[at] > 1 {
			duplicated++
		}
	}
	for _, at := range log {
		if times[at] == 0 {
			skipped++
		}
	}
	r.skipped += skipped
	if skipped+duplicated+reordered > 0 || len(seen) != len(log) {
		r.findings = append(r.findings, fmt.Sprintf("%s saw %d of %d events: %d skipped, %d duplicated, %d reordered", who, len(seen), len(log), skipped, duplicated, reordered))
	}
}

// foreign is a transaction that has nothing to do with the store. It has written elsewhere,
// so it has a transaction id, and has read, so it holds a snapshot; it stays open.
type foreign struct {
	tx  pgx.Tx
	xid int64
}

func beginForeign(t *testing.T, pool *pgxpool.Pool) foreign {
	t.Helper()
	_, err := pool.Exec(t.Context(), "CREATE TABLE unrelated (n integer)")
	require.NoError(t, err)
	f := foreign{}
	f.tx, err = pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.tx.Rollback(context.Background()) })
	require.NoError(t, f.tx.QueryRow(t.Context(), "INSERT INTO unrelated VALUES (1) RETURNING pg_current_xact_id()::text::bigint").Scan(&f.xid))
	return f
}

// end makes sure that it has been open all the time.
func (f foreign) end(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	var open bool
	require.NoError(t, pool.QueryRow(t.Context(),
		"SELECT backend_xid::text::bigint = $1 AND backend_xmin::text::bigint <= $1 FROM pg_stat_activity WHERE pid = $2",
		f.xid, f.tx.Conn().PgConn().PID()).Scan(&open))
	require.True(t, open)
	require.NoError(t, f.tx.Commit(t.Context()))
}

// readingSteps are how the readers go on from their checkpoints: to the head, by window, by
// limit.
var readingSteps = []func(after eventstore.Position) eventstore.LogQuery{
	func(after eventstore.Position) eventstore.LogQuery { return eventstore.LogQuery{After: after} },
	func(after eventstore.Position) eventstore.LogQuery {
		return eventstore.LogQuery{After: after, Through: after + 25}
	},
	func(after eventstore.Position) eventstore.LogQuery {
		return eventstore.LogQuery{After: after, Limit: 20}
	},
	func(after eventstore.Position) eventstore.LogQuery { return eventstore.LogQuery{After: after} },
}

// hostileReader is a subscription at its barest: a checkpoint, and reads from it.
type hostileReader struct {
	store eventstore.Store
	step  func(after eventstore.Position) eventstore.LogQuery

	checkpoint eventstore.Anchor
	seen       []eventstore.Position
	err        error
}

// follow reads until it has reached the head after the writing is over.
func (r *hostileReader) follow(ctx, written context.Context) {
	for {
		over := written.Err() != nil // asked before the read, so that the last read has everything
		caughtUp, err := r.advance(ctx)
		switch {
		case err != nil:
			r.err = err
			return
		case caughtUp && over:
			return
		case caughtUp:
			_ = eventstore.WaitAppended(written, r.store, r.checkpoint.Position) // its error: the writing is over
		}
	}
}

func (r *hostileReader) advance(ctx context.Context) (caughtUp bool, err error) {
	read, err := r.store.ReadLog(ctx, r.step(r.checkpoint.Position))
	if err != nil {
		return false, err
	}
	if read.After != r.checkpoint {
		return false, fmt.Errorf("the anchor is %v, the checkpoint was %v", read.After, r.checkpoint)
	}
	for e, err := range read.Events() {
		if err != nil {
			return false, err
		}
		r.seen = append(r.seen, e.Position)
	}
	r.checkpoint = read.Through
	return read.Through.Position == read.Head, nil
}

// transactional is a store that can append in transactions of its callers.
type transactional interface {
	eventstore.Store
	In(tx pgx.Tx) eventstore.Store
}

func writeToTheStore(ctx context.Context, url, name string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	if err != nil {
		return err
	}
	return errors.Join(hostileProcess(ctx, pool, store, name), store.Close(ctx))
}

func hostileProcess(ctx context.Context, pool *pgxpool.Pool, store transactional, name string) error {
	var all sync.WaitGroup
	errs := make([]error, hostileWriters)
	for i := range errs {
		w := hostileWriter{name: fmt.Sprintf("%s.%d", name, i), pool: pool, store: store}
		all.Go(func() {
			for n := 0; n < 200*eventstoretest.Scale && errs[i] == nil; n++ {
				errs[i] = w.append(ctx, n)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// hostileWriter is a client with bad habits. It reports what is acknowledged once it is.
type hostileWriter struct {
	name  string
	pool  *pgxpool.Pool
	store transactional
}

var errRollback = errors.New("changed my mind")

func (w hostileWriter) append(ctx context.Context, n int) error {
	request := w.request(n)
	if rand.IntN(5) > 0 {
		receipt, err := w.store.Append(ctx, request)
		return w.report(request, receipt, err)
	}
	var receipt eventstore.Receipt
	var refusal error
	rollback := rand.IntN(3) == 0
	err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		receipt, refusal = w.store.In(tx).Append(ctx, request)
		if refusal != nil {
			return refusal
		}
		if _, err := tx.Exec(ctx, "SELECT pg_sleep($1)", float64(rand.IntN(4))/1000); err != nil {
			return err
		}
		if rollback {
			return errRollback
		}
		return nil
	})
	if err == nil {
		fmt.Println("committed in a transaction")
	}
	return w.report(request, receipt, err)
}

// report writes the acknowledged events and where they must stand: the receipt tells the
// last position, and the events of one append are neighbours.
func (w hostileWriter) report(request eventstore.AppendRequest, receipt eventstore.Receipt, err error) error {
	switch {
	case errors.Is(err, errRollback):
		fmt.Println("rolled back")
		return nil
	case errors.Is(err, eventstore.ErrVersionConflict):
		fmt.Println("version conflict")
		return nil
	case errors.Is(err, eventstore.ErrConditionFailed):
		fmt.Println("condition failed")
		return nil
	case errors.Is(err, eventstore.ErrStoreBusy):
		fmt.Println("busy")
		return nil
	case err != nil:
		return err
	}
	if len(request.Writes) > 1 {
		fmt.Println("several streams")
	}
	at := receipt.Token.Position - eventstore.Position(request.EventCount())
	for _, write := range request.Writes {
		for _, e := range write.Events {
			at++
			fmt.Fprintf(os.Stdout, "ack %s %d\n", e.Data, at)
		}
	}
	return nil
}

func (w hostileWriter) request(n int) eventstore.AppendRequest {
	tag := eventstore.NewTag("writer", w.name)
	events := func(part string, count int) (events []eventstore.EventData) {
		for k := range count {
			events = append(events, eventstore.EventData{
				Type: "order.changed", Tags: []eventstore.Tag{tag}, Data: fmt.Appendf(nil, "%s/%d/%s/%d", w.name, n, part, k),
			})
		}
		return events
	}
	request := eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: eventstore.NewStreamID("own", w.name), Events: events("own", 1+rand.IntN(4))},
	}}
	if rand.IntN(2) == 0 {
		shared := eventstore.NewStreamID("shared", fmt.Sprint(rand.IntN(3)))
		request.Writes = append(request.Writes, eventstore.Write{Stream: shared, Events: events("shared", 1+rand.IntN(2))})
	}
	switch rand.IntN(10) { // two in ten are refused, once there is something to conflict with
	case 0:
		request.Writes[0].Expected = eventstore.NoStream
	case 1:
		request.Condition = &eventstore.Condition{FailIf: eventstore.Tagged(tag)}
	}
	return request
}
