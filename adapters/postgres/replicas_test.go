package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/checkup"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// fleet is a primary with a store and tallies, and two standbys.
type fleet struct {
	primary  *testservers.Postgres
	one, two *testservers.Replica
	pool     *pgxpool.Pool // to the primary
	store    *postgres.Store
	runner   projection.Runner
	replicas *postgres.Replicas
	queries  *query.Bus
	before   [3]int64
}

type getTally struct{ ID string }

func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{primary: startServer(t)}
	f.pool = poolOn(t, f.primary.URL("postgres"))
	_, err := postgres.Migrate(t.Context(), f.pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	f.store = openOn(t, f.pool, postgres.Options{})
	f.runner = projection.Runner{Log: f.store, Events: soldEvents, Tasks: []projection.Task{projection.Into(f.store.Sink(), tallies(1))}}
	f.sell(t)
	for name, standby := range map[string]**testservers.Replica{"one": &f.one, "two": &f.two} {
		*standby, err = f.primary.Replica(t.Context(), testservers.ReplicaOptions{Name: name})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, (*standby).Stop(context.Background())) })
	}
	f.replicas = f.open(t, f.store.Sink(), f.primary.URL("postgres"))
	f.queries = query.NewBus()
	reader := projection.NewReader(f.replicas, tallies(1))
	query.Handle(f.queries, "tally", func(ctx context.Context, q getTally) (tally, error) { return reader.Get(ctx, q.ID) }, query.Reads("tallies"))
	query.Handle(f.queries, "tally_by_sql", func(ctx context.Context, id string) (events int64, err error) {
		err = f.replicas.Read(ctx, tallies(1).Generation(), func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT events FROM leftfold.view_tallies_1 WHERE key = $1", id).Scan(&events)
		})
		return events, err
	}, query.Reads("tallies"))
	return f
}

// open opens replicas for a role: that of the URL.
func (f *fleet) open(t *testing.T, primary *postgres.Sink, url string) *postgres.Replicas {
	t.Helper()
	role, _, _ := strings.Cut(strings.TrimPrefix(url, "postgres://"), "@")
	var standbys []postgres.Standby
	for name, standby := range map[string]*testservers.Replica{"one": f.one, "two": f.two} {
		own, _, _ := strings.Cut(strings.TrimPrefix(standby.URL("postgres"), "postgres://"), "@")
		s := postgres.Standby{Name: name, Pool: poolOn(t, strings.Replace(standby.URL("postgres"), own+"@", role+"@", 1))}
		if standbys = append(standbys, s); name == "one" && len(standbys) == 2 {
			standbys[0], standbys[1] = standbys[1], standbys[0]
		}
	}
	replicas := postgres.OpenReplicas(t.Context(), primary, standbys, projection.ReplicasOptions{
		Every: 20 * time.Millisecond, Timeout: 20 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { require.NoError(t, replicas.Close(context.Background())) })
	return replicas
}

// sell sells to a, projects that, and returns the head.
func (f *fleet) sell(t *testing.T) eventstore.Token {
	t.Helper()
	head, err := f.sold(t.Context())
	require.NoError(t, err)
	return head
}

func (f *fleet) sold(ctx context.Context) (eventstore.Token, error) {
	data, err := soldEvents.Encode(itemSold{Customer: "a", Pence: 1})
	if err != nil {
		return eventstore.Token{}, err
	}
	receipt, err := f.store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "sale-1", Events: []eventstore.EventData{data}}}})
	if err != nil {
		return eventstore.Token{}, err
	}
	return receipt.Token, f.runner.CatchUp(ctx)
}

// ask returns how many sales there were to a, which is the position of the last.
func (f *fleet) ask(t *testing.T, options ...query.AskOption) (int64, error) {
	t.Helper()
	row, err := query.Ask[tally](t.Context(), f.queries, getTally{"a"}, options...)
	if err != nil {
		return 0, err
	}
	events, err := query.Ask[int64](t.Context(), f.queries, "a", options...)
	require.NoError(t, err, "what a reader is given, SQL is")
	return min(row.Events, events), nil
}

func (f *fleet) arrive(t *testing.T, standbys ...*testservers.Replica) {
	t.Helper()
	for _, standby := range standbys {
		require.NoError(t, standby.CatchUp(t.Context()))
	}
}

// looks returns how many questions each server was asked since the last call: the primary, one, two.
func (f *fleet) looks() (asked [3]int64) {
	s := f.replicas.Status()
	now := [3]int64{s.Primary.Looks, s.Replicas[0].Looks, s.Replicas[1].Looks}
	for n := range now {
		asked[n] = now[n] - f.before[n]
	}
	f.before = now
	return asked
}

// await waits until a standby does as is wanted.
func (f *fleet) await(t *testing.T, n int, does func(s projection.ReplicaStatus) bool) projection.ReplicaStatus {
	t.Helper()
	require.Eventually(t, func() bool { return does(f.replicas.Status().Replicas[n]) }, postgres.TestPatience, postgres.TestStep)
	return f.replicas.Status().Replicas[n]
}

func inOrder(s projection.ReplicaStatus) bool { return s.Err == nil && s.Lag >= 0 }
func isAside(s projection.ReplicaStatus) bool { return s.Err != nil }

// One primary and two standbys, to which one thing happens after the other.
func TestReplicas(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	f.await(t, 0, inOrder)
	f.await(t, 1, inOrder)
	for _, c := range []struct {
		sentence string
		test     func(t *testing.T, f *fleet)
	}{
		{"standbys answer and the primary does not", standbysAnswer},
		{"a role that may query opens them", aRoleThatMayQueryOpensThem},
		{"a standby that has stopped to replay is not read for what it lacks", aPausedStandby},
		{"what was written is read while standbys pause at any time", whileStandbysPause},
		{"a generation is read where it is live", aGenerationIsReadWhereItIsLive},
		{"SQL that a standby breaks off runs on another server", sqlThatIsBrokenOff},
		{"a standby that is down is put aside until it is up", aStandbyThatIsDown},
		{"readers go on without the primary", withoutThePrimary},
		{"a standby that follows another timeline is put aside", anotherTimeline},
		{"a standby that was promoted is put aside", aPromotedStandby},
	} {
		if !t.Run(c.sentence, func(t *testing.T) { c.test(t, f) }) {
			return // the servers are in no state for the next
		}
	}
}

func standbysAnswer(t *testing.T, f *fleet) {
	head := f.sell(t)
	f.arrive(t, f.one, f.two)
	finds(t, examined(t, poolOn(t, f.one.URL("postgres")), postgres.ExamineOptions{})["standby"], checkup.Warning, "it is a standby")
	_, err := f.ask(t)
	require.NoError(t, err)
	f.looks()
	for range 10 {
		events, err := f.ask(t)
		require.NoError(t, err)
		require.EqualValues(t, head.Position, events)
	}
	asked := f.looks()
	assert.Zero(t, asked[0])
	assert.Positive(t, asked[1])
	assert.Positive(t, asked[2])
	_, err = f.ask(t, query.After(head))
	require.NoError(t, err)
	assert.Zero(t, f.looks()[0], "they have it, and have told so")
}

func aRoleThatMayQueryOpensThem(t *testing.T, f *fleet) {
	_, err := f.pool.Exec(t.Context(), "CREATE ROLE querier LOGIN")
	require.NoError(t, err)
	require.NoError(t, postgres.Grant(t.Context(), f.pool, "", "querier", postgres.ToQuery))
	f.arrive(t, f.one, f.two)
	url := strings.Replace(f.primary.URL("postgres"), f.pool.Config().ConnConfig.User+"@", "querier@", 1)
	replicas := f.open(t, openSinkOn(t, poolOn(t, url)), url)
	for n := range 2 {
		require.Eventually(t, func() bool { return inOrder(replicas.Status().Replicas[n]) }, postgres.TestPatience, postgres.TestStep, "%v", replicas.Status())
	}
	row, err := projection.NewReader(replicas, tallies(1)).Get(t.Context(), "a")
	require.NoError(t, err)
	require.Positive(t, row.Events)
	require.NoError(t, replicas.Read(t.Context(), tallies(1).Generation(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT events FROM leftfold.view_tallies_1")
		return err
	}))
	assert.Zero(t, replicas.Status().Primary.Looks)
	require.NoError(t, replicas.Close(t.Context()))
	_, err = projection.NewReader(replicas, tallies(1)).Get(t.Context(), "a")
	require.NoError(t, err, "the sink is not ours to close")
}

func aPausedStandby(t *testing.T, f *fleet) {
	require.NoError(t, f.one.PauseReplay(t.Context()))
	for range 5 {
		head := f.sell(t)
		f.arrive(t, f.two)
		events, err := f.ask(t, query.After(head))
		require.NoError(t, err)
		require.EqualValues(t, head.Position, events)
	}
	f.await(t, 0, func(s projection.ReplicaStatus) bool { return s.Lag > 0 })
	require.NoError(t, f.two.PauseReplay(t.Context()))
	head := f.sell(t)
	f.looks()
	events, err := f.ask(t, query.After(head))
	require.NoError(t, err)
	require.EqualValues(t, head.Position, events)
	require.Positive(t, f.looks()[0], "nobody but the primary has it")
	events, err = f.ask(t)
	require.NoError(t, err)
	require.Less(t, events, int64(head.Position), "nothing is required")
	require.Zero(t, f.looks()[0])

	require.NoError(t, f.one.ResumeReplay(t.Context()))
	f.arrive(t, f.one)
	for range 2 { // the first finds out where it is
		_, err = f.ask(t, query.After(head))
		require.NoError(t, err)
	}
	f.looks()
	events, err = f.ask(t, query.After(head))
	require.NoError(t, err)
	require.EqualValues(t, head.Position, events)
	require.Equal(t, [3]int64{0, 2, 0}, f.looks())
	require.NoError(t, f.two.ResumeReplay(t.Context()))
	f.arrive(t, f.two)
}

// The large torture, over Redis too, has its own stage.
func whileStandbysPause(t *testing.T, f *fleet) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	paused := make(chan error, 1)
	all.Go(func() {
		random := rand.New(rand.NewPCG(6, 2))
		var err error
		for err == nil && ctx.Err() == nil {
			standby := []*testservers.Replica{f.one, f.two}[random.IntN(2)]
			if err = standby.PauseReplay(ctx); err == nil {
				err = standby.ResumeReplay(t.Context())
			}
		}
		if ctx.Err() != nil {
			err = errors.Join(f.one.ResumeReplay(t.Context()), f.two.ResumeReplay(t.Context()))
		}
		paused <- err
	})
	f.looks()
	for range 60 {
		head := f.sell(t)
		events, err := f.ask(t, query.After(head))
		require.NoError(t, err)
		require.GreaterOrEqual(t, events, int64(head.Position))
		_, err = f.ask(t)
		require.NoError(t, err)
	}
	asked := f.looks()
	cancel()
	require.NoError(t, <-paused)
	require.Positive(t, asked[1])
	require.Positive(t, asked[2])
	f.arrive(t, f.one, f.two)
}

func aGenerationIsReadWhereItIsLive(t *testing.T, f *fleet) {
	require.NoError(t, f.one.PauseReplay(t.Context()))
	require.NoError(t, projection.Rebuild(t.Context(), f.store, soldEvents, projection.Into(f.store.Sink(), longerTallies(2)), projection.RebuildOptions{}))
	f.arrive(t, f.two)
	reader := projection.NewReader(f.replicas, longerTallies(2))
	for range 6 {
		row, err := reader.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Positive(t, row.Events)
		row, err = reader.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Positive(t, row.Events)
	}
	_, err := f.ask(t)
	require.NoError(t, err, "the old one is there, and kept")
	require.NoError(t, f.one.ResumeReplay(t.Context()))
	f.sell(t) // what was written before is flushed, and sent
	f.arrive(t, f.one)
	f.looks()
	for range 6 {
		_, err = reader.Get(t.Context(), "a")
		require.NoError(t, err)
	}
	require.Zero(t, f.looks()[0])
	require.NoError(t, f.store.Sink().Promote(t.Context(), tallies(1).Generation())) // the others go on with that
	f.arrive(t, f.one, f.two)
}

func sqlThatIsBrokenOff(t *testing.T, f *fleet) {
	impatient := func(setting string) {
		for _, standby := range []*testservers.Replica{f.one, f.two} {
			pool := poolOn(t, standby.URL("postgres"))
			for _, statement := range []string{"ALTER SYSTEM " + setting, "SELECT pg_reload_conf()"} {
				_, err := pool.Exec(t.Context(), statement)
				require.NoError(t, err)
			}
		}
	}
	impatient("SET max_standby_streaming_delay = 0")
	defer impatient("RESET max_standby_streaming_delay")
	calls := 0
	var events int64
	f.looks()
	err := f.replicas.Read(t.Context(), tallies(1).Generation(), func(ctx context.Context, tx pgx.Tx) error {
		calls++
		var standby bool
		if err := tx.QueryRow(ctx, "SELECT events, pg_is_in_recovery() FROM leftfold.view_tallies_1 WHERE key = 'a'").Scan(&events, &standby); err != nil || !standby {
			return err
		}
		// What this transaction sees is removed on the primary, and then here.
		for {
			f.sell(t)
			if _, err := f.pool.Exec(ctx, "VACUUM leftfold.view_tallies_1"); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "SELECT events FROM leftfold.view_tallies_1"); err != nil {
				return err
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, 3, calls, "both standbys break it off, and the primary does not")
	asked := f.looks()
	require.EqualValues(t, 1, asked[0], "the primary was the last one")
	require.GreaterOrEqual(t, asked[1], int64(2), "a look may be broken off too")
	require.GreaterOrEqual(t, asked[2], int64(2))
	for n := range 2 {
		require.NoError(t, f.replicas.Status().Replicas[n].Err, "it has only done what it had to")
	}
	failed := errors.New("no")
	err = f.replicas.Read(t.Context(), tallies(1).Generation(), func(context.Context, pgx.Tx) error { return failed })
	require.Equal(t, failed, err)
	err = f.replicas.Read(t.Context(), tallies(1).Generation(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM leftfold.view_tallies_1")
		return err
	})
	require.ErrorContains(t, err, "read-only transaction")
}

func aStandbyThatIsDown(t *testing.T, f *fleet) {
	f.await(t, 0, inOrder)
	require.NoError(t, f.one.StopImmediate(t.Context()))
	for range 5 {
		_, err := f.ask(t)
		require.NoError(t, err)
	}
	require.ErrorIs(t, f.await(t, 0, isAside).Err, postgres.ErrUnavailable)
	late := f.open(t, f.store.Sink(), f.primary.URL("postgres"))
	require.ErrorIs(t, late.Status().Replicas[0].Err, postgres.ErrUnavailable)
	require.NoError(t, late.Status().Replicas[1].Err)

	require.NoError(t, f.one.Start(t.Context()))
	f.await(t, 0, inOrder)
	f.sell(t) // what was written before is flushed, and sent
	f.arrive(t, f.one)
	require.Eventually(t, func() bool { return inOrder(late.Status().Replicas[0]) }, postgres.TestPatience, postgres.TestStep, "it is opened when it can be")
	f.looks()
	for range 10 {
		_, err := f.ask(t)
		require.NoError(t, err)
	}
	require.Positive(t, f.looks()[1])
}

func withoutThePrimary(t *testing.T, f *fleet) {
	head := f.sell(t)
	f.arrive(t, f.one, f.two)
	f.await(t, 0, inOrder)
	f.await(t, 1, inOrder)
	require.NoError(t, f.primary.StopImmediate(t.Context()))
	for range 10 {
		events, err := f.ask(t, query.After(head))
		require.NoError(t, err)
		require.EqualValues(t, head.Position, events)
	}
	for n := range 2 {
		f.await(t, n, inOrder)
	}
	require.NoError(t, f.primary.Start(t.Context()))
	require.Eventually(t, func() bool { _, err := f.sold(t.Context()); return err == nil }, postgres.TestPatience, postgres.TestStep)
}

// One was promoted, and is the primary now for a program that knows. Two follows the old one.
func anotherTimeline(t *testing.T, f *fleet) {
	require.NoError(t, f.one.Promote(t.Context()))
	replicas := f.open(t, openSinkOn(t, poolOn(t, f.one.URL("postgres"))), f.primary.URL("postgres"))
	require.Eventually(t, func() bool { return isAside(replicas.Status().Replicas[1]) }, postgres.TestPatience, postgres.TestStep)
	require.ErrorContains(t, replicas.Status().Replicas[1].Err, "another timeline")
	_, err := projection.NewReader(replicas, tallies(1)).Get(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, replicas.Close(t.Context()))
}

func aPromotedStandby(t *testing.T, f *fleet) {
	require.ErrorContains(t, f.await(t, 0, isAside).Err, "it is no standby any more")
	head := f.sell(t)
	f.arrive(t, f.two)
	f.looks()
	for range 5 {
		events, err := f.ask(t, query.After(head))
		require.NoError(t, err)
		require.EqualValues(t, head.Position, events)
	}
	require.Zero(t, f.looks()[1])
}

// Read does not know which rows its function will read, so any parked key may be among them.
func TestSQLIsNotGivenRowsOfAModelOfWhichKeysAreParked(t *testing.T) {
	r := newRivals(t, nil)
	parked := r.move
	parked.To.Parks++
	parked.Park = []projection.Parked{{Key: "b", Event: parked.To.Anchor, Type: "item.sold", Cause: "no", At: time.Now()}}
	require.NoError(t, r.quick.Commit(t.Context(), r.model, parked, []projection.Change{{Row: projection.Row{Key: "a", Values: []any{"a"}}}}))
	bus := query.NewBus()
	query.Handle(bus, "count", func(ctx context.Context, _ string) (n int, err error) {
		err = r.quick.Read(ctx, r.model.Generation, func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM leftfold.view_raced_1").Scan(&n)
		})
		return n, err
	}, query.Reads("raced"))
	ask := func(after eventstore.Position) (int, error) {
		return query.Ask[int](t.Context(), bus, "?", query.After(eventstore.Token{Identity: r.move.To.Source, Position: after}), query.Wait(0))
	}
	var lacks *projection.ParkedError
	_, err := ask(5)
	require.ErrorAs(t, err, &lacks)
	require.Equal(t, "b", lacks.Keys[0].Key)
	n, err := ask(4)
	require.NoError(t, err, "nothing was parked by then")
	require.Equal(t, 1, n)
	n, err = query.Ask[int](t.Context(), bus, "?")
	require.NoError(t, err)
	require.Equal(t, 1, n)

	var late *query.NotCaughtUpError
	_, err = ask(6)
	require.ErrorAs(t, err, &late)
	var told query.Freshness
	head := eventstore.Token{Identity: r.move.To.Source, Position: 7}
	_, err = query.Ask[int](t.Context(), bus, "?", query.After(head), query.Wait(0), query.OrStale(&told))
	require.ErrorAs(t, err, &lacks)
	up := projection.Move{From: parked.To, To: parked.To, Unpark: []string{"b"}}
	up.To.Parks++
	require.NoError(t, r.quick.Commit(t.Context(), r.model, up, nil))
	n, err = query.Ask[int](t.Context(), bus, "?", query.After(head), query.Wait(0), query.OrStale(&told))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []eventstore.Token{head}, told.Missing)
	err = r.quick.Read(t.Context(), projection.Generation{Name: "nobody", Version: 1}, nil)
	require.ErrorIs(t, err, projection.ErrNotBuilt)
}

// Where a token is waited for, no connection is: those who need not wait would wait for it.
func TestReadersBySQLThatWaitHoldNoConnection(t *testing.T) {
	r := newRivals(t, nil)
	require.NoError(t, r.commit(t.Context(), r.quick, "a"))
	bus := query.NewBus()
	query.Handle(bus, "count", func(ctx context.Context, _ string) (n int, err error) {
		err = r.quick.Read(ctx, r.model.Generation, func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM leftfold.view_raced_1").Scan(&n)
		})
		return n, err
	}, query.Reads("raced"))
	next := r.move
	next.From, next.To.Anchor = r.move.To, eventstore.Anchor{Position: 6, EventID: eventstore.NewEventID()}
	var all sync.WaitGroup
	answers := make([]int, 20) // more than there are connections
	errs := make([]error, len(answers))
	for n := range answers {
		all.Go(func() {
			answers[n], errs[n] = query.Ask[int](t.Context(), bus, "?", query.After(next.To.Token()), query.Wait(postgres.TestPatience))
		})
	}
	n, err := query.Ask[int](t.Context(), bus, "?")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, r.quick.Commit(t.Context(), r.model, next, []projection.Change{{Row: projection.Row{Key: "b", Values: []any{"b"}}}}))
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, n := range answers {
		require.Equal(t, 2, n)
	}
}
