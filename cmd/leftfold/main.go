// Command leftfold is the tool that comes with the framework: verbs about a store, which it opens by URL, and
// a demo. Package cli says what they have in common, and what the exit codes are.
package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/storecmd"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/cmd/leftfold/demo"
)

func main() {
	stores.Quiet()
	cli.Main(root())
}

func root() *cobra.Command {
	cmd := &cobra.Command{Use: "leftfold", Short: "Event sourcing and CQRS for Go"}
	cmd.AddCommand(storecmd.Commands()...)
	cmd.AddCommand(demo.Command())
	return cmd
}

// run executes one command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Run(ctx, root(), args, stdout, stderr)
}
