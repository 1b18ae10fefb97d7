package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// A look stands still between its statements while a commit passes it. What it tells then is the
// checkpoint from before with the rows from behind; the mutant tells it the other way round.
func TestTheRowsOfALookAreNotOlderThanItsCheckpoint(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	runner := projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), tallies(1))}}
	sell(t, store, 7)
	require.NoError(t, runner.CatchUp(t.Context()))
	model := projection.Model{Generation: tallies(1).Generation(), Columns: []projection.Column{{Name: "events", Kind: projection.Int}}}
	looking := openSinkOn(t, poolOn(t, pool.Config().ConnString()+"&pool_max_conns=1")) // what is planned once is planned in every look
	passed := func(sink projection.Readable) (at eventstore.Position, events int64) {
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
		_, err = tx.Exec(t.Context(), "LOCK TABLE leftfold.segments IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		looked := make(chan error, 1)
		go func() {
			look, err := sink.Look(t.Context(), model, projection.RowQuery{Keys: []string{"a"}})
			if err == nil {
				at, events = look.Tokens()[0].Position, look.Rows[0].Values[0].(int64)
			}
			looked <- err
		}()
		require.Eventually(t, func() bool {
			var waits bool
			err := pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'leftfold.segments'::regclass)").Scan(&waits)
			return err == nil && waits
		}, postgres.TestPatience, postgres.TestStep)
		_, err = tx.Exec(t.Context(), "UPDATE leftfold.view_tallies_1 SET events = events + 100; UPDATE leftfold.segments SET position = position + 100", pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		require.NoError(t, <-looked)
		return at, events
	}
	// Once before, so that the statements are planned: to plan takes locks too.
	for _, sink := range []projection.Readable{looking, postgres.RowsFirst{Sink: looking}} {
		_, err := sink.Look(t.Context(), model, projection.RowQuery{Keys: []string{"a"}})
		require.NoError(t, err)
	}
	at, events := passed(looking)
	require.GreaterOrEqual(t, events, int64(at-7), "100 events more for 100 positions more")
	at, events = passed(postgres.RowsFirst{Sink: looking})
	require.Less(t, events, int64(at-7), "the mutant")
}

// stepwise looks by several calls, each of which may go to another server: a mutant.
type stepwise struct{ *postgres.Sink }

func (s stepwise) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	all, err := s.Builds(ctx, model.Name)
	if err != nil {
		return look, err
	}
	look = projection.NewLook(all, model.Generation)
	look.Rows, err = s.Load(ctx, model, rows.Keys)
	return look, err
}

// Changed tells nothing: a connection that listens would be one more that leads somewhere.
func (stepwise) Changed() <-chan struct{} { return nil }

// The address leads to two servers, of which one has stopped to replay. A reader that asks how far
// it is, and then for the rows, has its answers from both; a look is of one. That is why there are
// looks: see docs/adr/0021.
func TestALookIsOfOneServerWhateverTheAddressLeadsTo(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	store := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	runner := projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), tallies(1))}}
	sell(t, store, 7)
	require.NoError(t, runner.CatchUp(t.Context()))
	require.NoError(t, replica.CatchUp(t.Context()))
	require.NoError(t, replica.PauseReplay(t.Context()))
	sell(t, store, 1)
	require.NoError(t, runner.CatchUp(t.Context()))
	head, err := store.Head(t.Context())
	require.NoError(t, err)

	both, first := openOnTwo(t, primary, replica)
	ask := func(from projection.Readable, options ...query.AskOption) (tally, error) {
		reader := projection.NewReader(from, tallies(1))
		bus := query.NewBus()
		query.Handle(bus, "tally", func(ctx context.Context, id string) (tally, error) { return reader.Get(ctx, id) }, query.Reads("tallies"))
		return query.Ask[tally](t.Context(), bus, "a", append(options, query.After(head))...)
	}
	first.Store(1)
	row, err := ask(stepwise{both.Sink()}, query.Wait(0))
	require.NoError(t, err)
	require.EqualValues(t, 2, row.Events, "the mutant is stale, and does not know it")

	var late *query.NotCaughtUpError
	for asked := false; !asked; asked = err == nil { // until it is this look that is led to the primary
		first.Store(1)
		if row, err = ask(both.Sink(), query.Wait(0)); err != nil {
			require.ErrorAs(t, err, &late)
		}
	}
	require.EqualValues(t, 3, row.Events)
	first.Store(0)
	_, err = ask(both.Sink(), query.Wait(0))
	require.ErrorAs(t, err, &late, "the standby by itself")
	require.EqualValues(t, 7, late.At)

	// The same for SQL.
	read := func() (events int64, err error) {
		bus := query.NewBus()
		query.Handle(bus, "tally", func(ctx context.Context, id string) (events int64, err error) {
			err = both.Sink().Read(ctx, tallies(1).Generation(), func(ctx context.Context, tx pgx.Tx) error {
				return tx.QueryRow(ctx, "SELECT events FROM leftfold.view_tallies_1 WHERE key = $1", id).Scan(&events)
			})
			return events, err
		}, query.Reads("tallies"))
		return query.Ask[int64](t.Context(), bus, "a", query.After(head), query.Wait(0))
	}
	var events int64
	for asked := false; !asked; asked = err == nil {
		first.Store(1)
		if events, err = read(); err != nil {
			require.ErrorAs(t, err, &late)
		}
	}
	require.EqualValues(t, 3, events)
	first.Store(0)
	_, err = read()
	require.ErrorAs(t, err, &late)
}

func TestALookAtASchemaThatIsGoneIsAnError(t *testing.T) {
	pool := newPool(t)
	sink := openSinkOn(t, pool)
	model := projection.Model{Generation: tallies(1).Generation(), Columns: []projection.Column{{Name: "events", Kind: projection.Int}}}
	_, err := sink.Look(t.Context(), model, projection.RowQuery{})
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "ALTER SCHEMA leftfold RENAME TO elsewhere")
	require.NoError(t, err)
	_, err = sink.Look(t.Context(), model, projection.RowQuery{})
	require.ErrorIs(t, err, postgres.ErrNoStore)
}

func TestALookAtATableThatWasDroppedByHandSaysSo(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	sell(t, store, 7)
	require.NoError(t, projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), tallies(1))}}.CatchUp(t.Context()))
	reader := projection.NewReader(store.Sink(), tallies(1))
	for range 2 { // prepared, and not
		_, err := pool.Exec(t.Context(), "DROP TABLE IF EXISTS leftfold.view_tallies_1 CASCADE")
		require.NoError(t, err)
		_, err = reader.Get(t.Context(), "a")
		require.ErrorIs(t, err, projection.ErrNotBuilt)
		require.ErrorContains(t, err, fmt.Sprint("the table of ", tallies(1).Generation()))
	}
}
