package storecmd

import (
	"bytes"
	"context"

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
	root := &cobra.Command{Use: "leftfold"}
	root.AddCommand(Commands()...)
	code := cli.Run(ctx, root, args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}
