package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
	"github.com/leftfold/leftfold/query"
)

// openSinkOn opens a sink that is closed with the test.
func openSinkOn(t testing.TB, pool *pgxpool.Pool) *postgres.Sink {
	t.Helper()
	return openSinkIn(t, pool, postgres.DefaultSchema)
}

func openSinkIn(t testing.TB, pool *pgxpool.Pool, schema string) *postgres.Sink {
	t.Helper()
	sink, err := postgres.OpenSink(t.Context(), pool, postgres.SinkOptions{Schema: schema})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close(context.Background())) })
	return sink
}

func TestSink(t *testing.T) {
	t.Parallel()
	pool := sharedPool(t)
	projectiontest.RunSink(t, func(t testing.TB) projection.Sink { return openSinkIn(t, pool, newSchema(t, pool)) })
}

func TestSinkTransactions(t *testing.T) {
	t.Parallel()
	pool := sharedPool(t)
	projectiontest.RunTxSink(t, func(t testing.TB) projectiontest.TxParts[pgx.Tx] {
		schema := newSchema(t, pool)
		return countersOn(t, pool, schema, openSinkIn(t, pool, schema))
	})
}

// addOne adds one to a counter of [countersOn].
func addOne(ctx context.Context, tx pgx.Tx, counter string) error {
	_, err := tx.Exec(ctx, "INSERT INTO counters AS c VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET n = c.n + 1", counter)
	return err
}

// countersOn keeps counters in a table of the pool's database, which the stores of other schemas share: each
// has counters of its own.
func countersOn(t testing.TB, pool *pgxpool.Pool, schema string, sink projection.TxSink[pgx.Tx]) projectiontest.TxParts[pgx.Tx] {
	t.Helper()
	_, err := pool.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS counters (name text PRIMARY KEY, n bigint)")
	require.NoError(t, err)
	own := func(counter string) string { return counter }
	if schema != postgres.DefaultSchema {
		own = func(counter string) string { return schema + "/" + counter }
	}
	return projectiontest.TxParts[pgx.Tx]{
		Sink: sink, Store: openOn(t, pool, postgres.Options{Schema: schema}),
		Add: func(ctx context.Context, tx pgx.Tx, counter string) error { return addOne(ctx, tx, own(counter)) },
		Read: func(ctx context.Context, counter string) (n int, err error) {
			err = pool.QueryRow(ctx, "SELECT n FROM counters WHERE name = $1", own(counter)).Scan(&n)
			if errors.Is(err, pgx.ErrNoRows) {
				return 0, nil
			}
			return n, err
		},
	}
}

func TestEffectsWithReadModelsInTheStoresSchema(t *testing.T) {
	t.Parallel()
	pool := sharedPool(t)
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		store := openOn(t, pool, postgres.Options{Schema: newSchema(t, pool)})
		return projectiontest.Parts{Store: store, Sink: store.Sink()}
	})
}

func TestEffectsWithReadModelsInAnotherDatabase(t *testing.T) {
	t.Parallel()
	one, other := sharedPool(t), sharedPool(t)
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		return projectiontest.Parts{
			Store: openOn(t, one, postgres.Options{Schema: newSchema(t, one)}),
			Sink:  openSinkIn(t, other, newSchema(t, other)),
		}
	})
}

func TestTheSinkOfAStoreIsOneAndClosesWithIt(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	sink := store.Sink()
	require.Same(t, sink, store.Sink(), "a commit through one wakes those who wait at the other")
	require.NoError(t, sink.Close(t.Context()))
	_, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err, "the connections are the store's")
	_, err = sink.Load(t.Context(), projection.Model{Generation: tallies(1).Generation()}, []string{"a"})
	require.ErrorIs(t, err, projection.ErrNotBuilt)
	require.NoError(t, store.Close(t.Context()))
	_, err = sink.Load(t.Context(), projection.Model{Generation: tallies(1).Generation()}, []string{"a"})
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

func TestASinkNeedsASchemaThatWasMigrated(t *testing.T) {
	pool := newPool(t)
	_, err := postgres.OpenSink(t.Context(), pool, postgres.SinkOptions{Schema: "views"})
	require.ErrorIs(t, err, postgres.ErrNoStore)
	require.ErrorContains(t, err, "postgres.Migrate")
	_, err = postgres.OpenSink(t.Context(), pool, postgres.SinkOptions{Schema: "Views"})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestProgramsThatOpenAViewAtTheSameTimeMakeItOnce(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	model := projection.Model{
		Generation: projection.Generation{Name: "opened", Version: 1}, Hash: "opened",
		Columns: []projection.Column{{Name: "n", Kind: projection.Int}}, Indexes: []string{"n"},
	}
	source := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	var all sync.WaitGroup
	errs := make([]error, 8)
	for n := range errs {
		sink := openSinkOn(t, pool)
		all.Go(func() { errs[n] = sink.Open(t.Context(), model, source) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

// hostileRow has columns that are words of SQL, in a view whose name is as long as may be.
type hostileRow struct {
	Key    string            `leftfold:"key"`
	Order  string            `leftfold:"order"`
	Select int               `leftfold:"select"`
	User   *string           `leftfold:"user"`
	Long   float64           `leftfold:"a_column_whose_name_has_as_many_bytes_as_postgres_keeps_of_one1"`
	Long2  float64           `leftfold:"a_column_whose_name_has_as_many_bytes_as_postgres_keeps_of_one2"`
	Nested map[string]string `leftfold:"table"`
}

func TestNamesAndValuesThatMeanSomethingToSQLAreKept(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	want := map[string]hostileRow{}
	for n, name := range hostile {
		data, err := soldEvents.Encode(itemSold{Customer: name, Pence: int64(n)})
		require.NoError(t, err)
		_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "sale-1", Events: []eventstore.EventData{data}}}})
		require.NoError(t, err)
		want[name] = hostileRow{name, name, n, &name, float64(n), float64(-n), map[string]string{name: "\x00" + name}}
	}
	long := []string{"a_column_whose_name_has_as_many_bytes_as_postgres_keeps_of_one1", "a_column_whose_name_has_as_many_bytes_as_postgres_keeps_of_one2"}
	view := projection.NewView(strings.Repeat("v", 48), projection.ViewOptions{Version: 999_999_999, Indexes: append(long, "order", "select")},
		projection.WhenKeyed(func(e itemSold, _ eventstore.Recorded) string { return e.Customer },
			func(row *hostileRow, e itemSold, _ eventstore.Recorded) {
				*row = hostileRow{row.Key, e.Customer, int(e.Pence), &e.Customer, float64(e.Pence), float64(-e.Pence), map[string]string{e.Customer: "\x00" + e.Customer}}
			}))
	require.NoError(t, projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), view)}}.CatchUp(t.Context()))
	reader := projection.NewReader(store.Sink(), view)
	got, err := reader.GetMany(t.Context(), slices.Collect(maps.Keys(want))...)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, by := range append(long, "", "order", "select") {
		listed := map[string]hostileRow{}
		for row, err := range reader.All(t.Context(), projection.ListQuery{By: by, Limit: 7, Descending: true}) {
			require.NoError(t, err)
			listed[row.Key] = row
		}
		require.Equal(t, want, listed, by)
	}
}

func TestATableWhoseNameWouldBeCutIsRefused(t *testing.T) {
	model := projection.Model{
		Generation: projection.Generation{Name: strings.Repeat("v", 48), Version: 1_000_000_000}, Hash: "cut",
		Columns: []projection.Column{{Name: "n", Kind: projection.Int}},
	}
	sink := openSinkOn(t, newPool(t))
	err := sink.Open(t.Context(), model, eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1})
	require.ErrorContains(t, err, "has 64 bytes, the limit is 63")
	at, err := sink.Checkpoint(t.Context(), model.Generation, eventstore.StoreID{})
	require.NoError(t, err)
	require.Zero(t, at)
}

func TestAKeyThatIsTooLongForAnIndexIsRefusedAndExplained(t *testing.T) {
	r := newRivals(t, nil)
	random := rand.New(rand.NewPCG(1, 2))
	var long strings.Builder // no compression makes it short
	for long.Len() < 4000 {
		fmt.Fprintf(&long, "%016x", random.Uint64())
	}
	err := r.commit(t.Context(), r.quick, long.String())
	require.ErrorContains(t, err, "a key or a value of an indexed column of a read model is too long")
	require.NotErrorIs(t, err, eventstore.ErrStoreBusy, "which would be tried again for ever")
	require.Empty(t, r.written(t))
}

// More than one statement may carry: they are one commit all the same.
func TestTortureALargeCommitIsOneCommit(t *testing.T) {
	t.Parallel()
	r := newRivals(t, nil)
	var changes []projection.Change
	large := strings.Repeat("x", 33<<20)
	for _, key := range []string{"a", "b", "c"} {
		changes = append(changes, projection.Change{Row: projection.Row{Key: key, Values: []any{large}}})
	}
	require.NoError(t, r.quick.Commit(t.Context(), r.model, r.move, changes[:3]))
	require.Equal(t, "a, b, c", r.written(t))
	changes[2].Key = "d"
	require.ErrorIs(t, r.quick.Commit(t.Context(), r.model, r.move, changes), subscription.ErrStale)
	require.Equal(t, "a, b, c", r.written(t))
	changes[2].Values = []any{int64(1)}
	r.move.From = r.move.To
	r.move.To.Anchor.Position++
	require.ErrorContains(t, r.quick.Commit(t.Context(), r.model, r.move, changes), "a int64 is no text")
	require.Equal(t, "a, b, c", r.written(t))
}

// Statements are planned while the table is small, and their plans are kept.
func TestNoStatementOfAViewScansItsTable(t *testing.T) {
	pool := newPool(t)
	sink := openSinkOn(t, pool)
	model := projection.Model{
		Generation: projection.Generation{Name: "planned", Version: 1}, Hash: "planned",
		Columns: []projection.Column{{Name: "n", Kind: projection.Int}}, Indexes: []string{"n"},
	}
	source := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	require.NoError(t, sink.Open(t.Context(), model, source))
	at, err := sink.Checkpoint(t.Context(), model.Generation, source.Store)
	require.NoError(t, err)
	for n, rows := range []int{1, 1, 1, 1, 1, 1, 1, 5000, 5000, 5000, 1} {
		var keys []string
		var changes []projection.Change
		for row := range rows {
			keys = append(keys, fmt.Sprintf("%d-%d", n, row))
			changes = append(changes, projection.Change{Row: projection.Row{Key: keys[row], Values: []any{int64(row)}}, Deleted: row%10 == 1})
		}
		to := at
		to.Anchor = eventstore.Anchor{Position: at.Position() + 1, EventID: eventstore.NewEventID()}
		require.NoError(t, sink.Commit(t.Context(), model, projection.Move{From: at, To: to}, changes))
		at = to
		_, err := sink.Load(t.Context(), model, keys)
		require.NoError(t, err)
		for _, list := range []projection.ListQuery{{Limit: 5}, {Limit: 5, By: "n"}, {Limit: 5, By: "n", Descending: true, After: &projection.Cursor{Key: keys[0], Value: int64(7)}}} {
			_, err := sink.List(t.Context(), model, list)
			require.NoError(t, err)
			_, err = sink.Look(t.Context(), model, projection.RowQuery{List: &list})
			require.NoError(t, err)
		}
		look, err := sink.Look(t.Context(), model, projection.RowQuery{Keys: keys[:1]})
		require.NoError(t, err)
		require.Len(t, look.Rows, 1)
		if n == 1 { // the planner learns how small it is
			_, err = pool.Exec(t.Context(), "VACUUM ANALYZE leftfold.view_planned_1")
			require.NoError(t, err)
		}
	}
	var scans, read int
	require.NoError(t, sink.Close(t.Context())) // its sessions report what they did
	require.Eventually(t, func() bool {
		err := pool.QueryRow(t.Context(), "SELECT seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'view_planned_1'").Scan(&scans, &read)
		return err == nil && read > 10_000
	}, postgres.TestPatience, postgres.TestStep)
	require.Less(t, scans, 3, "those of the indexes that are made")
	require.Less(t, read, 20_000, "no more than was asked for")
}

func TestTortureSinkThroughPgBouncer(t *testing.T) {
	t.Parallel()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	through := func(t testing.TB) *pgxpool.Pool {
		return poolOn(t, bouncer.URL(newPool(t).Config().ConnConfig.Database)+"&default_query_exec_mode=exec")
	}
	projectiontest.RunSink(t, func(t testing.TB) projection.Sink { return openSinkOn(t, through(t)) })
	projectiontest.RunTxSink(t, func(t testing.TB) projectiontest.TxParts[pgx.Tx] {
		pool := through(t)
		return countersOn(t, pool, postgres.DefaultSchema, openSinkOn(t, pool))
	})
}

// A reader on a standby waits for a token there, and reads there.
func TestASinkOnAStandbyServesReaders(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	store := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	runner := projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), tallies(1))}}
	sell(t, store, 7)
	require.NoError(t, runner.CatchUp(t.Context()))
	require.NoError(t, replica.CatchUp(t.Context()))

	standby := openSinkOn(t, poolOn(t, replica.URL("postgres")))
	reader := projection.NewReader(standby, tallies(1))
	bus := query.NewBus()
	query.Handle(bus, "tally", func(ctx context.Context, id string) (tally, error) { return reader.Get(ctx, id) }, query.Reads("tallies"))
	ask := func(options ...query.AskOption) (tally, error) {
		return query.Ask[tally](t.Context(), bus, "a", options...)
	}
	row, err := ask()
	require.NoError(t, err)
	require.EqualValues(t, 2, row.Events)

	require.NoError(t, replica.PauseReplay(t.Context()))
	sell(t, store, 1)
	require.NoError(t, runner.CatchUp(t.Context()))
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	var late *query.NotCaughtUpError
	_, err = ask(query.After(head), query.Wait(0))
	require.ErrorAs(t, err, &late)
	require.EqualValues(t, 7, late.At)
	require.NoError(t, replica.ResumeReplay(t.Context()))
	row, err = ask(query.After(head))
	require.NoError(t, err)
	require.EqualValues(t, 3, row.Events)

	r := newRivals(t, nil)
	for what, write := range map[string]func() error{
		"open": func() error { return standby.Open(t.Context(), r.model, r.move.From.Source) },
		"commit": func() error {
			return standby.Commit(t.Context(), projection.Model{Generation: tallies(1).Generation()}, r.move, nil)
		},
		"transact": func() error { return standby.Transact(t.Context(), tallies(1).Generation(), r.move, nil) },
	} {
		err := write()
		require.ErrorIs(t, err, postgres.ErrReadOnly, what)
		require.ErrorContains(t, err, "write to the primary", what)
	}
}

// The rights of a role end where its work does.
func TestRolesProjectAndQuery(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	owner := poolOn(t, server.URL("postgres"))
	_, err := postgres.Migrate(t.Context(), owner, postgres.MigrateOptions{})
	require.NoError(t, err)
	as := func(role string, privileges ...postgres.Privilege) *pgxpool.Pool {
		_, err := owner.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN")
		require.NoError(t, err)
		require.NoError(t, postgres.Grant(t.Context(), owner, "", role, privileges...))
		return poolOn(t, strings.Replace(server.URL("postgres"), owner.Config().ConnConfig.User+"@", role+"@", 1))
	}
	store := openOn(t, owner, postgres.Options{})
	sell(t, store, 7)
	projector, early := as("projector", postgres.ToRead, postgres.ToProject), as("early", postgres.ToQuery)
	project := func(pool *pgxpool.Pool, version int) error {
		log := openOn(t, pool, postgres.Options{})
		return projection.Runner{Log: log, Events: soldEvents, Tasks: []projection.Task{projection.Into(log.Sink(), tallies(version))}}.CatchUp(t.Context())
	}
	read := func(pool *pgxpool.Pool, version int) error {
		_, err := projection.NewReader(openSinkOn(t, pool), tallies(version)).Get(t.Context(), "a")
		return err
	}
	require.NoError(t, project(projector, 1))
	require.NoError(t, read(early, 1), "it was granted before there was a table")
	require.NoError(t, project(owner, 2))
	require.NoError(t, read(early, 2))
	second := as("second", postgres.ToRead, postgres.ToProject)
	require.NoError(t, project(second, 2), "it goes on with what the owner has built")
	late := as("late", postgres.ToQuery)
	require.NoError(t, read(late, 2))
	require.NoError(t, read(late, 1), "a superuser has the rights of every owner")

	sell(t, store, 7)
	require.NoError(t, project(second, 2))
	require.NoError(t, project(projector, 2))
	require.ErrorIs(t, project(as("reader", postgres.ToRead), 2), postgres.ErrDenied)
	for _, pool := range []*pgxpool.Pool{early, late} {
		for _, attack := range []string{
			"UPDATE leftfold.segments SET position = 0", "DELETE FROM leftfold.view_tallies_1", "UPDATE leftfold.view_tallies_1 SET pence = 0",
			"INSERT INTO leftfold.read_models VALUES ('x', 1, 'x')", "CREATE TABLE leftfold.view_x_1 ()", "SELECT * FROM leftfold.events", "SELECT leftfold.share('leftfold.view_tallies_1')",
		} {
			_, err := pool.Exec(t.Context(), attack)
			failure, _ := errors.AsType[*pgconn.PgError](err)
			if assert.NotNil(t, failure, attack) {
				assert.Equal(t, "42501", failure.Code, attack)
			}
		}
	}
	for _, attack := range []string{"INSERT INTO leftfold.events SELECT * FROM leftfold.events", "UPDATE leftfold.store SET incarnation = 9", "DROP TABLE leftfold.events", "TRUNCATE leftfold.segments"} {
		_, err := projector.Exec(t.Context(), attack)
		failure, _ := errors.AsType[*pgconn.PgError](err)
		if assert.NotNil(t, failure, attack) {
			assert.Equal(t, "42501", failure.Code, attack)
		}
	}
}

func TestTortureChurn(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	churn := projectiontest.Churn{Rounds: 6 + 2*eventstoretest.Scale, Every: time.Duration(eventstoretest.Scale) * time.Second / 2}
	projectiontest.RunChurn(t, projectiontest.Parts{Store: store, Sink: store.Sink()}, churn)
}
