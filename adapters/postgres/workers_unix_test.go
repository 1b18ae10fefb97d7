//go:build unix

package postgres_test

import (
	"net/url"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// The connections of all workers are cut now and then, besides.
func TestTortureWorkersThatAreKilledAndPausedApplyEachEventOnce(t *testing.T) {
	t.Parallel()
	torture := projectiontest.Torture{Events: 10_000 * eventstoretest.Scale, Faults: 50 * eventstoretest.Scale}
	figures, err := torturedWorkers(t, torture)
	require.NoError(t, err)
	t.Log(figures)
}

func TestTortureOfWorkersCatchesASecondTransaction(t *testing.T) {
	t.Parallel()
	err := projectiontest.Caught(func() error {
		_, err := torturedWorkers(t, projectiontest.Torture{Events: 5_000, Faults: 40, Bug: projectiontest.SecondTransaction})
		return err
	})
	require.ErrorContains(t, err, "want")
	t.Log(err)
}

func torturedWorkers(t *testing.T, torture projectiontest.Torture) (projectiontest.Figures, error) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	at, err := url.Parse(pool.Config().ConnString())
	require.NoError(t, err)
	query := at.Query()
	query.Set("application_name", "worker")
	at.RawQuery = query.Encode()
	torture.Disturb = func() error {
		_, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'worker'")
		return err
	}
	return projectiontest.CheckWorkers(t.Context(), projectiontest.Parts{Store: store, Sink: store.Sink()}, torture, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childDoes+"=works on projections", childURL+"="+at.String())
		process.Stderr = os.Stderr
		return process
	})
}
