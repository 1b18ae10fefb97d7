package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// ran is what a user sees of a run.
type ran struct {
	code           int
	stdout, stderr string
}

// leftfold runs a command line in this process.
func leftfold(ctx context.Context, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

func TestWithoutACommandTheHelpIsPrinted(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"demo", "--help"}} {
		r := leftfold(t.Context(), args...)
		assert.Equal(t, cli.ExitOK, r.code)
		assert.Contains(t, r.stdout, "Usage:")
		assert.Empty(t, r.stderr)
	}
}

func TestAnUnknownVerbIsExplained(t *testing.T) {
	r := leftfold(t.Context(), "dance")
	assert.Equal(t, cli.ExitUsage, r.code)
	assert.Empty(t, r.stdout)
	assert.Contains(t, r.stderr, `unknown command "dance"`)
	assert.Contains(t, r.stderr, "--help' to see what there is")
}

// binary builds the program once, without the race detector even if this test has it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "leftfold")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return path, nil
})

// scratch is where the binary goes. Other users may run it there.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "leftfold-cmd-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(scratch)
		if err := os.Chmod(scratch, 0o755); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// process prepares a run of the binary.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	return exec.CommandContext(t.Context(), path, args...)
}

// begin starts a process and returns a function that waits for its end. One that does not start has the
// code -1.
func begin(cmd *exec.Cmd) (end func() ran) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return func() ran { return ran{-1, "", err.Error()} }
	}
	return func() ran {
		if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
			return ran{-1, "", err.Error()}
		}
		return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}
}
