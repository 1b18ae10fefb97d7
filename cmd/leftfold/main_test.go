package main

import (
	"bytes"
	"context"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/internal/programtest"
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

var program = programtest.New(".")

func TestMain(m *testing.M) { program.Main(m) }

// process prepares a run of the program.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), program.Path(t), args...)
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
