package importcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/straightline"
	"github.com/leftfold/leftfold/internal/programtest"
)

// run executes one command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{Use: "shop"}
	root.AddCommand(Command())
	return cli.Run(ctx, root, args, stdout, stderr)
}

// ran is what a user sees of a run.
type ran struct {
	code           int
	stdout, stderr string
}

// shop runs a command line in this process.
func shop(ctx context.Context, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

// summary returns the one object that -o json prints, and fails if there is anything else.
func (r ran) summary(t *testing.T) (s summary) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(r.stdout))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&s), "exit code %d, stderr:\n%s", r.code, r.stderr)
	require.ErrorIs(t, decoder.Decode(&struct{}{}), io.EOF, "stdout has more than one object")
	return s
}

// checked runs import --check on the files, which must succeed, and returns its figures.
func checked(t *testing.T, dir string, files ...string) summary {
	t.Helper()
	r := shop(t.Context(), importArgs(dir, files...)...)
	require.Equal(t, cli.ExitOK, r.code, "stderr:\n%s", r.stderr)
	return r.summary(t)
}

func importArgs(dir string, files ...string) []string {
	args := []string{"import", "--check", "-o", "json", "--dir", dir}
	for _, file := range files {
		args = append(args, "--data", file)
	}
	return args
}

// agrees says what in the summary is not what the straight-line program found, and
// whether events were lost or duplicated: an accounted row is one event.
func (s summary) agrees(want straightline.Result) error {
	rejections := map[retail.Reason]int{}
	for reason, n := range want.Rejections {
		rejections[retail.Reason(reason)] = n
	}
	type figures struct {
		Rows, Accepted, Rejected int
		Rejections               map[retail.Reason]int
		Totals                   app.Totals
		Events                   int64
		ViewsEqual               bool
		Findings                 []string
	}
	got := figures{s.Rows, s.AcceptedRows, s.RejectedRows, s.Rejections, s.Totals, s.Events, s.ViewsEqual, s.Findings}
	expected := figures{want.Rows, want.Accepted, want.Rows - want.Accepted, rejections, app.Totals(want.Totals), int64(want.Rows), true, []string{}}
	if !assert.ObjectsAreEqual(expected, got) {
		return fmt.Errorf("got  %+v\nwant %+v", got, expected)
	}
	return nil
}

// file writes an export and returns its path.
func file(t *testing.T, rows ...string) string {
	t.Helper()
	return raw(t, retail.Header+"\n"+strings.Join(rows, "\n")+"\n")
}

func raw(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.csv")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// firstRows writes the first rows of the bundled orders to a file, and returns what
// they must come to.
func firstRows(t *testing.T, n int) (path string, want straightline.Result) {
	t.Helper()
	bundled, err := io.ReadAll(data.Open())
	require.NoError(t, err)
	content := strings.Join(strings.SplitAfterN(string(bundled), "\n", n+2)[:n+1], "")
	want, err = straightline.Compute(strings.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, want.Rows, n, "the bundled orders are shorter")
	return raw(t, content), want
}

var program = programtest.New("github.com/leftfold/leftfold/examples/shop")

func TestMain(m *testing.M) { program.Main(m) }

// process prepares a run of the program.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), program.Path(t), args...)
}

// finish runs a process to its end. One that does not start has the code -1.
func finish(cmd *exec.Cmd) ran { return begin(cmd)() }

// begin starts a process and returns a function that waits for its end.
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
