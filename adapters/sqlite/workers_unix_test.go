//go:build unix

package sqlite_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
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
	parts := projectiontest.Parts{Store: store, Sink: sink}
	if os.Getenv(childName) == childWorksInHalves {
		parts.Sink = halvesSink{sink}
	}
	return projectiontest.WorkUntilKilled(ctx, parts)
}

func TestTortureWorkersThatAreKilledAndPausedApplyEachEventOnce(t *testing.T) {
	torture := projectiontest.Torture{Events: 10_000 * eventstoretest.Scale, Faults: 50 * eventstoretest.Scale}
	require.NoError(t, torturedWorkers(t, childWorks, torture))
}

// The mutant writes the rows in one transaction and moves the checkpoint in a second: a worker
// that is killed between the two has applied a window that will be applied again.
func TestTheTortureOfWorkersCatchesASecondTransaction(t *testing.T) {
	require.ErrorContains(t, torturedWorkers(t, childWorksInHalves, projectiontest.Torture{Events: 5_000, Faults: 40}), "row")
}

func torturedWorkers(t *testing.T, name string, torture projectiontest.Torture) error {
	path := filepath.Join(t.TempDir(), "log.db")
	store := openStore(t, path)
	sink, err := sqlite.OpenSink(t.Context(), path+".views")
	require.NoError(t, err)
	defer func() { require.NoError(t, sink.Close()) }()
	return projectiontest.CheckWorkers(t.Context(), projectiontest.Parts{Store: store, Sink: sink}, torture, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childPath+"="+path, childName+"="+name)
		process.Stderr = os.Stderr
		return process
	})
}

// halvesSink writes rows and checkpoint apart.
type halvesSink struct{ *sqlite.Sink }

func (s halvesSink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := s.Sink.Commit(ctx, model, projection.Move{From: move.From, To: move.From}, changes); err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond) // room for a kill
	return s.Sink.Commit(ctx, model, move, nil)
}
