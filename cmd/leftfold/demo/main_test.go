package demo

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
)

// runInstead makes the test binary the program: the demo starts its services so.
const runInstead = "LEFTFOLD_RUN_DEMO"

func TestMain(m *testing.M) {
	if os.Getenv(runInstead) != "" {
		cli.Main(program())
	}
	os.Exit(m.Run())
}

func program() *cobra.Command {
	root := &cobra.Command{Use: "leftfold"}
	root.AddCommand(Command())
	return root
}

// spawned prepares a run of the demo as a process of its own.
func spawned(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), runInstead+"=1")
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return cmd
}

// ran is what is seen of a run.
type ran struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, args ...string) ran {
	t.Helper()
	cmd := spawned(t, args...)
	_ = cmd.Run() // its code tells
	return seen(cmd)
}

func seen(cmd *exec.Cmd) ran {
	return ran{cmd.ProcessState.ExitCode(), cmd.Stdout.(*bytes.Buffer).String(), cmd.Stderr.(*bytes.Buffer).String()}
}

func (r ran) result(t *testing.T) (is result) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &is), "%s\n%s", r.stdout, r.stderr)
	return is
}
