package storecmd

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

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
	code := cli.Run(ctx, root(), args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

// leftfoldReading is leftfold with something on standard input.
func leftfoldReading(ctx context.Context, stdin string, args ...string) ran {
	var stdout, stderr bytes.Buffer
	root := root()
	root.SetIn(strings.NewReader(stdin))
	code := cli.Run(ctx, root, args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

func root() *cobra.Command {
	root := &cobra.Command{Use: "leftfold"}
	root.AddCommand(Commands()...)
	return root
}

// runTo runs a command line whose results are read while it runs.
func runTo(ctx context.Context, stdout io.Writer, args ...string) (code int) {
	return cli.Run(ctx, root(), args, stdout, io.Discard)
}
