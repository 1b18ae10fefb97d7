package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
)

// trace is one run of the verb: what to look for, and where.
type trace struct {
	id     string
	store  string
	since  string
	last   int64
	output cli.Output

	stdout, stderr io.Writer
}

const traceHelp = `Shows who did what when in one conversation, across streams, as a tree of causes.

ID is the conversation's (correlation_id in the metadata of its events), or the id of a
command or of an event: then it is their conversation, from there on.

There is no index of conversations, because it would slow down every append by a third. So
the log is read, at 150,000 to 450,000 events a second. An ID that is a UUID with a time in it (version
7), as those of the command bus and of events are, is looked for from ten minutes before that
time on. Anything else is looked for in the whole log, unless --since or --last say less.`

func traceCommand() *cobra.Command {
	t := &trace{}
	cmd := &cobra.Command{
		Use:     "trace ID",
		Short:   "Show who did what when in one conversation",
		Long:    traceHelp,
		Example: "  leftfold trace checkout-7 --store sqlite:shop.db",
		Args:    cli.OneArgument("the id of one conversation, command or event"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if t.last < 0 {
				return cli.Misused(cmd, errors.New("--last must not be negative"))
			}
			t.id, t.stdout, t.stderr = args[0], cmd.OutOrStdout(), cmd.ErrOrStderr()
			return t.run(cmd.Context())
		},
	}
	stores.Flag(cmd, &t.store)
	cmd.Flags().StringVar(&t.since, "since", "", "look from this time on: 24h, 2026-11-26 or 2026-11-26T18:00:00Z; all: the whole log")
	cmd.Flags().Int64Var(&t.last, "last", 0, "look in the newest so many events only")
	cli.OutputFlag(cmd, &t.output, cli.Table, cli.JSON, cli.JSONLines)
	return cmd
}

func (t *trace) run(ctx context.Context) (err error) {
	since, err := sinceTime(t.since, t.id, time.Now())
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	store, err := stores.Open(ctx, t.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	found, err := t.find(ctx, store, since)
	if err != nil {
		return err
	}
	if len(found.Events) == 0 {
		return fmt.Errorf("no event of %q after position %d, up to %d; to look in all of them say --since all", t.id, found.After, found.Through)
	}
	return t.print(found)
}

func (t *trace) print(found traced) error {
	switch t.output {
	case cli.JSON:
		return cli.PrintJSON(t.stdout, found)
	case cli.JSONLines:
		encoder := cli.NewEncoder(t.stdout)
		for _, e := range found.Events {
			if err := encoder.Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	p := cli.NewPrinter(t.stdout)
	for line := range strings.Lines(tree(found)) {
		if err := p.Line(strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
	return nil
}
