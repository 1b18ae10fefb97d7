// Command leftfold is the tool that comes with the framework. Today it has four verbs: trace
// shows who did what when in one conversation, across the streams of a store, schema census
// counts the shapes of events in a store, commands prune makes a store forget old command ids, and
// demo runs a shop on real orders.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1   // something did not work, or a check did not hold
	exitUsage       = 2   // the command line is wrong
	exitInterrupted = 130 // Ctrl-C
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line. Results go to stdout, everything else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "leftfold",
		Short:         "Event sourcing and CQRS for Go",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(misused)
	root.AddCommand(demoCommand(stdout, stderr), traceCommand(stdout, stderr), schemaCommand(stdout, stderr), commandsCommand(stdout, stderr))
	return exitCode(ctx, root.ExecuteContext(ctx), stderr)
}

func exitCode(ctx context.Context, err error, stderr io.Writer) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, os.ErrClosed)):
		fmt.Fprintln(stderr, "leftfold: interrupted; nothing is lost: run the same command again to go on")
		return exitInterrupted
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(stderr, "leftfold: %v\nRun 'leftfold --help' to see what there is.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "leftfold: %v\n", err)
		return exitFailed
	}
}

// usageError marks an error of the command line.
type usageError struct{ error }

func misused(cmd *cobra.Command, err error) error {
	return &usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
}
