package cli

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

// Exit codes of every command.
const (
	ExitOK          = 0
	ExitFailed      = 1   // something did not work, or a check did not hold
	ExitUsage       = 2   // the command line is wrong
	ExitInterrupted = 130 // Ctrl-C, or SIGTERM
)

// Main runs the process's command line and ends the process. The verbs' context ends with the first
// interrupt or SIGTERM; a second one ends the process at once.
func Main(root *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := Run(ctx, root, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run executes one command line and returns the exit code. Results go to stdout, everything else to stderr;
// a verb takes both from its command, by OutOrStdout and ErrOrStderr.
func Run(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	fitHelp(root, NewPrinter(stdout).Width)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(Misused)
	helpAndCompletion(root)
	return exitCode(ctx, root.Name(), root.ExecuteContext(ctx), stderr)
}

func exitCode(ctx context.Context, program string, err error, stderr io.Writer) int {
	var usage *UsageError
	switch {
	case err == nil:
		return ExitOK
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, os.ErrClosed)):
		fmt.Fprintf(stderr, "%s: interrupted; nothing is lost: run the same command again to go on\n", program)
		return ExitInterrupted
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command"):
		if usage != nil && usage.Command != "" {
			program = usage.Command
		}
		fmt.Fprintf(stderr, "%s: %s. Run '%s --help' to see what there is.\n", program, inOneLine(err), program)
		return ExitUsage
	default:
		fmt.Fprintf(stderr, "%s: %s\n", program, inOneLine(err))
		return ExitFailed
	}
}

// inOneLine returns what an error says, whatever it is made of, without what would move a cursor.
func inOneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, Printable(line))
		}
	}
	return strings.NewReplacer(
		"; Did you mean this?; ", "; did you mean ", // cobra's words
		":; ", ": ",
	).Replace(strings.Join(lines, "; "))
}

// helpAndCompletion has cobra's own verbs refuse what they do not know: they would print their help, and succeed.
func helpAndCompletion(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, verb := range root.Commands() {
		switch verb.Name() {
		case "completion":
			verb.Args = cobra.ArbitraryArgs
			verb.RunE = func(cmd *cobra.Command, _ []string) error {
				return Misused(cmd, errors.New("want a shell: bash, fish, powershell, zsh"))
			}
		case "help":
			verb.Args = func(cmd *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return Misused(cmd, fmt.Errorf("there is no verb %q", strings.Join(args, " ")))
				}
				return nil
			}
		}
	}
}

// UsageError marks an error of the command line: [ExitUsage].
type UsageError struct {
	Err error
	// Command is the path of the command that was misused, "" if it is not known.
	Command string
}

func (e *UsageError) Error() string { return e.Err.Error() }

func (e *UsageError) Unwrap() error { return e.Err }

// Usagef returns a [UsageError].
func Usagef(format string, args ...any) error { return &UsageError{Err: fmt.Errorf(format, args...)} }

// Misused returns a [UsageError] that names the command.
func Misused(cmd *cobra.Command, err error) error {
	return &UsageError{Err: err, Command: cmd.CommandPath()}
}

// NoArguments is the Args of a verb that takes none.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Misused(cmd, fmt.Errorf("unknown argument %q", args[0]))
	}
	return nil
}

// OneArgument returns the Args of a verb that takes exactly one, such as "the id of one event".
func OneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return Misused(cmd, errors.New("want "+what))
		}
		return nil
	}
}

// Group returns a command that only has verbs: without one it says which there are.
func Group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: use, Short: short}
	var names []string
	for _, verb := range verbs {
		names = append(names, verb.Name())
	}
	group.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return Misused(cmd, fmt.Errorf("there is no verb %q: want %s", args[0], strings.Join(names, ", ")))
		}
		return Misused(cmd, errors.New("want a verb: "+strings.Join(names, ", ")))
	}
	group.AddCommand(verbs...)
	return group
}
