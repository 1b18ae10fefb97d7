package postgres_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

func inlineTallies(view projection.InlineView) postgres.Options {
	return postgres.Options{Inline: projection.Inline[pgx.Tx]{Events: soldEvents, Views: []projection.InlineView{view}}}
}

// switchInline is a child that puts the second version of the tallies in the place of the first.
func switchInline(ctx context.Context, url, _ string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	store, err := postgres.Open(ctx, pool, inlineTallies(longerTallies(2)))
	if err != nil {
		return err
	}
	return store.SwitchInline(ctx)
}

// A switch that replaces a version is two transactions: appends apply the new one, then readers
// see it. A program dies between them, because somebody reads the SQL view and keeps it from
// being changed. Until the switch is called again the old version is as it was; then the new one
// is live, with all that was appended meanwhile.
func TestAProgramThatDiesBetweenTheHalvesOfASwitchLeavesTheSecondToTheNext(t *testing.T) {
	t.Parallel()
	require.NoError(t, dieBetweenHalves(t, (*postgres.Store).SwitchInline))
	require.ErrorContains(t, dieBetweenHalves(t, (*postgres.Store).FlipInline), "stages: got", "the mutant does the first half only")
}

func dieBetweenHalves(t *testing.T, again func(*postgres.Store, context.Context) error) error {
	pool := newPool(t)
	old := openOn(t, pool, inlineTallies(tallies(1)))
	require.NoError(t, old.SwitchInline(t.Context()))
	sell(t, old, 20)

	reading, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = reading.Exec(t.Context(), "SELECT FROM leftfold.live_tallies")
	require.NoError(t, err)
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childDoes+"=switches to another version", childURL+"="+pool.Config().ConnString())
	require.NoError(t, process.Start())
	require.Eventually(t, func() (waits bool) {
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))").Scan(&waits))
		return waits
	}, postgres.TestPatience, postgres.TestStep)
	_ = process.Process.Kill() // it would give up by itself soon
	require.Error(t, process.Wait())
	require.NoError(t, reading.Rollback(t.Context()))

	stages := func() string {
		builds, err := old.Sink().Builds(t.Context(), "tallies")
		require.NoError(t, err)
		return fmt.Sprint(builds[0].Stage, " ", builds[1].Stage)
	}
	require.Equal(t, "live building", stages())
	_, err = old.Append(t.Context(), soldTo(t, "late"))
	require.ErrorIs(t, err, projection.ErrInlineMismatch)
	var sum int64
	for row, err := range projection.NewReader(old.Sink(), tallies(1)).All(t.Context(), projection.ListQuery{}) {
		require.NoError(t, err)
		sum += row.Events
	}
	require.EqualValues(t, 20, sum)

	next := openOn(t, pool, inlineTallies(longerTallies(2)))
	sell(t, next, 5)
	require.NoError(t, again(next, t.Context()))
	report, err := projection.Audit(t.Context(), next, soldEvents, next.Sink(), longerTallies(2), projection.AuditOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, report.Keys)
	require.Empty(t, report.Differences)
	head, err := next.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(25), head.Position)
	if got := stages(); got != "kept live" {
		return fmt.Errorf("stages: got %s, want kept live", got)
	}
	return nil
}
