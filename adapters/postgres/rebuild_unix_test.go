//go:build unix

package postgres_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestTortureARebuildThatIsKilledLeavesTheLiveGenerationOrItsSuccessor(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	parts := projectiontest.Parts{Store: store, Sink: store.Sink()}
	projectiontest.RunRebuilds(t, parts, projectiontest.Torture{Faults: 12 * eventstoretest.Scale}, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childDoes+"=rebuilds a projection", childURL+"="+pool.Config().ConnString())
		return process
	})
}
