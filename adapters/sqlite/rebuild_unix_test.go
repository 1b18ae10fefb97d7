//go:build unix

package sqlite_test

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
	require.NoError(t, torturedRebuilds(t, projectiontest.Torture{Faults: 12 * eventstoretest.Scale}))
}

// The mutant ends the life of the old generation before that of the new one begins.
func TestTortureOfRebuildsCatchesAPromotionInTwoSteps(t *testing.T) {
	err := torturedRebuilds(t, projectiontest.Torture{Faults: 60}, childPromotesInHalves+"=yes")
	require.ErrorContains(t, err, "0 versions are live")
}

func torturedRebuilds(t *testing.T, torture projectiontest.Torture, more ...string) error {
	path := filepath.Join(t.TempDir(), "log.db")
	store := openStore(t, path)
	sink, err := sqlite.OpenSink(t.Context(), path+".views")
	require.NoError(t, err)
	defer func() { require.NoError(t, sink.Close()) }()
	return projectiontest.CheckRebuilds(t.Context(), projectiontest.Parts{Store: store, Sink: sink}, torture, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(append(os.Environ(), childPath+"="+path, childName+"="+childRebuilds), more...)
		return process
	})
}
