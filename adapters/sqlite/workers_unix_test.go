//go:build unix

package sqlite_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// work is a child that keeps read models, in a file beside that of the store.
func work(path string) error {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	sink, err := sqlite.OpenSink(ctx, path+".views")
	if err != nil {
		return err
	}
	return projectiontest.WorkUntilKilled(ctx, projectiontest.Parts{Store: store, Sink: sink})
}

func TestTortureWorkersThatAreKilledAndPausedApplyEachEventOnce(t *testing.T) {
	torture := projectiontest.Torture{Events: 10_000 * eventstoretest.Scale, Faults: 50 * eventstoretest.Scale}
	figures, err := torturedWorkers(t, torture)
	require.NoError(t, err)
	t.Log(figures)
}

func TestTortureOfWorkersCatchesItsMutants(t *testing.T) {
	faults := map[projectiontest.Bug]int{projectiontest.SecondTransaction: 40, projectiontest.BlindCheckpoint: 10, projectiontest.NoFence: 40}
	for _, bug := range projectiontest.Bugs {
		t.Run(string(bug), func(t *testing.T) {
			err := projectiontest.Caught(func() error {
				_, err := torturedWorkers(t, projectiontest.Torture{Events: 5_000, Faults: faults[bug], Bug: bug, NoPauses: bug != projectiontest.NoFence})
				return err
			})
			require.ErrorContains(t, err, "want")
			t.Log(err)
		})
	}
}

func torturedWorkers(t *testing.T, torture projectiontest.Torture) (projectiontest.Figures, error) {
	path := filepath.Join(t.TempDir(), "log.db")
	store := openStore(t, path)
	sink, err := sqlite.OpenSink(t.Context(), path+".views")
	require.NoError(t, err)
	defer func() { require.NoError(t, sink.Close()) }()
	return projectiontest.CheckWorkers(t.Context(), projectiontest.Parts{Store: store, Sink: sink}, torture, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childPath+"="+path, childName+"="+childWorks)
		process.Stderr = os.Stderr
		return process
	})
}
