package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestReadersSeeNoErrorAndNoOlderRowsWhileAGenerationIsReplaced(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	projectiontest.RunSwitch(t, projectiontest.Parts{Store: store, Sink: store.Sink()}, func(ctx context.Context, key string) (events int64, err error) {
		err = pool.QueryRow(ctx, "SELECT events FROM leftfold.live_tallies WHERE key = $1", key).Scan(&events)
		return events, err
	})
}

// rebuild is a child that rebuilds a read model.
func rebuild(ctx context.Context, url, _ string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	if err != nil {
		return err
	}
	return projectiontest.RebuildUntilKilled(ctx, projectiontest.Parts{Store: store, Sink: store.Sink()}, os.Stdout)
}

// longer has the columns of a tally and one more, shorter lacks one.
type longer struct {
	ID     string `leftfold:"key"`
	Events int64
	Pence  int64
	Least  *int64
}

type shorter struct {
	ID    string `leftfold:"key"`
	Pence int64
}

func longerTallies(version int) *projection.View[longer] {
	return projection.NewView("tallies", projection.ViewOptions{Version: version, Indexes: []string{"pence", "events"}},
		projection.WhenKeyed(func(e itemSold, _ eventstore.Recorded) string { return e.Customer },
			func(row *longer, e itemSold, _ eventstore.Recorded) { row.Events++; row.Pence += e.Pence }))
}

func shorterTallies(version int) *projection.View[shorter] {
	return projection.NewView("tallies", projection.ViewOptions{Version: version},
		projection.WhenKeyed(func(e itemSold, _ eventstore.Recorded) string { return e.Customer },
			func(row *shorter, e itemSold, _ eventstore.Recorded) { row.Pence += e.Pence }))
}

// Whoever reads the SQL view goes on reading it, with the rights that were granted on it.
func TestTheSQLViewShowsWhatIsLiveAndKeepsItsRights(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	owner := poolOn(t, server.URL("postgres"))
	_, err := postgres.Migrate(t.Context(), owner, postgres.MigrateOptions{})
	require.NoError(t, err)
	exec := func(pool *pgxpool.Pool, statement string) error {
		_, err := pool.Exec(t.Context(), statement)
		return err
	}
	as := func(role string, privileges ...postgres.Privilege) *pgxpool.Pool {
		require.NoError(t, exec(owner, "CREATE ROLE "+role+" LOGIN"))
		require.NoError(t, postgres.Grant(t.Context(), owner, "", role, privileges...))
		return poolOn(t, strings.Replace(server.URL("postgres"), owner.Config().ConnConfig.User+"@", role+"@", 1))
	}
	projector, second, asker := as("projector", postgres.ToRead, postgres.ToProject), as("second", postgres.ToRead, postgres.ToProject), as("asker", postgres.ToQuery)
	store := openOn(t, owner, postgres.Options{})
	sell(t, store, 20)
	rebuild := func(pool *pgxpool.Pool, task func(sink projection.Sink) projection.Task) error {
		log := openOn(t, pool, postgres.Options{})
		return projection.Runner{Log: log, Events: soldEvents, Tasks: []projection.Task{task(log.Sink())}}.CatchUp(t.Context())
	}
	rows := func(pool *pgxpool.Pool, columns string) (n int, err error) {
		err = pool.QueryRow(t.Context(), "SELECT count(*) FROM (SELECT "+columns+" FROM leftfold.live_tallies) x").Scan(&n)
		return n, err
	}
	require.NoError(t, rebuild(projector, func(s projection.Sink) projection.Task { return projection.Into(s, tallies(1)) }))
	want, err := rows(asker, "key, events, pence")
	require.NoError(t, err)
	require.Positive(t, want)
	require.NoError(t, projection.Reset(t.Context(), store, openOn(t, second, postgres.Options{}).Sink(), tallies(1)), "it may write the table of another one")
	empty, err := rows(asker, "key")
	require.NoError(t, err)
	require.Zero(t, empty)
	require.NoError(t, rebuild(projector, func(s projection.Sink) projection.Task { return projection.Into(s, tallies(1)) }))
	require.ErrorContains(t, exec(second, "UPDATE leftfold.live_tallies SET pence = 0"), "42501", "who may write the table reads the view")

	for _, statement := range []string{
		"CREATE ROLE reports LOGIN", "CREATE ROLE teller LOGIN", "GRANT USAGE ON SCHEMA leftfold TO reports, teller", "GRANT CREATE ON SCHEMA public TO reports",
		"GRANT SELECT ON leftfold.live_tallies TO reports WITH GRANT OPTION", "GRANT SELECT (key, pence) ON leftfold.live_tallies TO teller",
	} {
		require.NoError(t, exec(owner, statement))
	}
	reports := poolOn(t, strings.Replace(server.URL("postgres"), owner.Config().ConnConfig.User+"@", "reports@", 1))
	teller := poolOn(t, strings.Replace(server.URL("postgres"), owner.Config().ConnConfig.User+"@", "teller@", 1))
	require.NoError(t, exec(reports, "CREATE VIEW public.rich AS SELECT key FROM leftfold.live_tallies WHERE pence > 10"))

	indexes := func(version int) (n int) {
		require.NoError(t, owner.QueryRow(t.Context(), "SELECT count(*) FROM pg_indexes WHERE tablename = 'view_tallies_' || $1::text", fmt.Sprint(version)).Scan(&n))
		return n
	}
	t.Run("more columns: it is replaced", func(t *testing.T) {
		log := openOn(t, projector, postgres.Options{})
		model := projection.Model{Generation: longerTallies(2).Generation()}
		err := rebuild(second, func(s projection.Sink) projection.Task { return projection.Into(s, longerTallies(2)) })
		require.ErrorIs(t, err, postgres.ErrDenied, "it is projector's view")
		require.ErrorContains(t, err, "only the role that owns the view")
		require.Equal(t, 3, indexes(2), "made before that")
		require.NoError(t, log.Sink().Index(t.Context(), model))
		require.NoError(t, log.Sink().Promote(t.Context(), model.Generation))
		for _, pool := range []*pgxpool.Pool{asker, reports} {
			got, err := rows(pool, "key, events, pence, least")
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		require.NoError(t, exec(reports, "SELECT key FROM public.rich"))
	})
	t.Run("less columns: it is made anew", func(t *testing.T) {
		task := func(s projection.Sink) projection.Task { return projection.Into(s, shorterTallies(3)) }
		err := rebuild(projector, task)
		require.ErrorContains(t, err, "2BP01", "somebody's view depends on it")
		require.NoError(t, exec(reports, "DROP VIEW public.rich"))
		require.NoError(t, rebuild(projector, task))
		for _, pool := range []*pgxpool.Pool{asker, reports, teller} {
			got, err := rows(pool, "key, pence")
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		require.NoError(t, exec(reports, "GRANT SELECT ON leftfold.live_tallies TO teller"), "with grant option, as before")
	})
	require.NoError(t, projection.Retire(t.Context(), openOn(t, projector, postgres.Options{}).Sink(), tallies(1).Generation()))
	require.ErrorIs(t, projection.Retire(t.Context(), openOn(t, projector, postgres.Options{}).Sink(), longerTallies(2).Generation()), postgres.ErrDenied, "it is second's table")
	require.NoError(t, projection.Retire(t.Context(), store.Sink(), longerTallies(2).Generation()))
}

func TestAGenerationHasNoIndexesUntilItIsFilled(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	sell(t, store, 20)
	require.NoError(t, projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), tallies(1))}}.CatchUp(t.Context()))
	indexes := func() (n int) {
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_indexes WHERE tablename = 'view_tallies_2'").Scan(&n))
		return n
	}
	seen := map[projection.Phase]int{}
	require.NoError(t, projection.Rebuild(t.Context(), store, soldEvents, projection.Into(store.Sink(), longerTallies(2)), projection.RebuildOptions{
		OnProgress: func(p projection.RebuildProgress) { seen[p.Phase] = indexes() },
	}))
	require.Equal(t, map[projection.Phase]int{projection.Replaying: 1, projection.Indexing: 1, projection.Verifying: 3, projection.Switching: 3, projection.Switched: 3}, seen)
}

func TestARelationInTheWayOfTheSQLViewIsNamed(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	_, err := pool.Exec(t.Context(), "CREATE TABLE leftfold.live_tallies (n integer)")
	require.NoError(t, err)
	err = projection.Runner{Log: store, Events: soldEvents, Tasks: []projection.Task{projection.Into(store.Sink(), tallies(1))}}.CatchUp(t.Context())
	require.ErrorContains(t, err, "have the SQL view live_tallies show tallies@1")
}
