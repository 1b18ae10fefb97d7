//go:build unix

package postgres_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func init() {
	children["works on projections"] = workOn(func(s *postgres.Sink) projection.Sink { return s })
	children["works on projections in halves"] = workOn(func(s *postgres.Sink) projection.Sink { return halvesSink{s} })
}

func workOn(plant func(*postgres.Sink) projection.Sink) func(ctx context.Context, url, name string) error {
	return func(ctx context.Context, url, _ string) error {
		pool, err := pgxpool.New(ctx, url)
		if err != nil {
			return err
		}
		store, err := postgres.Open(ctx, pool, postgres.Options{})
		if err != nil {
			return err
		}
		return projectiontest.WorkUntilKilled(ctx, projectiontest.Parts{Store: store, Sink: plant(store.Sink())})
	}
}

// The connections of all workers are cut now and then, besides.
func TestWorkersThatAreKilledAndPausedApplyEachEventOnce(t *testing.T) {
	torture := projectiontest.Torture{Events: 10_000 * eventstoretest.Scale, Faults: 50 * eventstoretest.Scale}
	require.NoError(t, torturedWorkers(t, "works on projections", torture))
}

// The mutant writes the rows in one transaction and moves the checkpoint in a second.
func TestTheTortureOfWorkersCatchesASecondTransaction(t *testing.T) {
	require.ErrorContains(t, torturedWorkers(t, "works on projections in halves", projectiontest.Torture{Events: 5_000, Faults: 40}), "row")
}

func torturedWorkers(t *testing.T, does string, torture projectiontest.Torture) error {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	at, err := url.Parse(pool.Config().ConnString())
	require.NoError(t, err)
	query := at.Query()
	query.Set("application_name", "worker")
	at.RawQuery = query.Encode()
	torture.Disturb = func() error {
		_, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'worker'")
		return err
	}
	return projectiontest.CheckWorkers(t.Context(), projectiontest.Parts{Store: store, Sink: store.Sink()}, torture, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childDoes+"="+does, childURL+"="+at.String())
		process.Stderr = os.Stderr
		return process
	})
}

// halvesSink writes rows and checkpoint apart.
type halvesSink struct{ *postgres.Sink }

func (s halvesSink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := s.Sink.Commit(ctx, model, projection.Move{From: move.From, To: move.From}, changes); err != nil {
		return err
	}
	return s.Sink.Commit(ctx, model, move, nil)
}
