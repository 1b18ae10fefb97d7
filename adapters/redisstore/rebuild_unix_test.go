//go:build unix

package redisstore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestTortureARebuildThatIsKilledLeavesTheLiveGenerationOrItsSuccessor(t *testing.T) {
	client, name, path := connect(t), prefix(), filepath.Join(t.TempDir(), "log.db")
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(t.Context())) }()
	parts := projectiontest.Parts{Store: store, Sink: openAs(t, client, name)}
	projectiontest.RunRebuilds(t, parts, projectiontest.Torture{Faults: 12 * eventstoretest.Scale}, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childDoes+"=rebuild", childLog+"="+path, childServer+"="+client.Options().Addr, childPrefix+"="+name)
		return process
	})
}
