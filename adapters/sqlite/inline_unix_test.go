//go:build unix

package sqlite_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestTortureProgramsThatAreKilledInsideAppendsLeaveRowsAndLogTogether(t *testing.T) {
	path := newPath(t)
	err := projectiontest.CheckInlineWriters(t.Context(), inlineOn(t, path), 60*eventstoretest.Scale, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childPath+"="+path, childName+"="+childAppendsInline)
		process.Stderr = os.Stderr
		return process
	})
	require.NoError(t, err)
}
