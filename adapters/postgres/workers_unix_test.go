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
