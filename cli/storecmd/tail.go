package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
)

// tail is one run of the verb.
type tail struct {
	selection

	store  string
	form   cli.Output
	follow bool
	after  int64
	last   int64

	stdout, stderr io.Writer
}

const tailHelp = `Shows the newest events of the log, one a line, and with --follow goes on with those to come, until
Ctrl-C. It begins with the last ten positions (--last), or behind a position (--after).

A store that is away for a while, as a server that restarts, is waited for: what was appended meanwhile is
shown then, nothing is left out and nothing shown twice. If it comes back as another log, as after a
restore, it says so and ends.`

func tailCommand() *cobra.Command {
	t := &tail{}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the newest events, and those to come",
		Long:  tailHelp,
		Example: `  leftfold tail -f --store sqlite:shop.db
  leftfold tail -f --store postgres://localhost/shop --type order.placed -o jsonl --after 1200`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t.stdout, t.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return t.run(cmd)
		},
	}
	stores.Flag(cmd, &t.store)
	t.flags(cmd)
	cmd.Flags().BoolVarP(&t.follow, "follow", "f", false, "go on with the events to come")
	cmd.Flags().Int64Var(&t.after, "after", -1, "begin behind this position")
	cmd.Flags().Int64VarP(&t.last, "last", "n", 10, "begin so many positions before the newest; 0: with what comes")
	cli.OutputFlag(cmd, &t.form, cli.Table, cli.JSONLines)
	return cmd
}

func (t *tail) run(cmd *cobra.Command) error {
	query, err := t.query()
	if err == nil && t.after < 0 && cmd.Flags().Changed("after") {
		err = errors.New("--after must not be negative")
	}
	if err == nil && t.last < 0 {
		err = errors.New("--last must not be negative")
	}
	if err == nil && t.after >= 0 && cmd.Flags().Changed("last") {
		err = errors.New("say --after or --last, not both")
	}
	if err != nil {
		return cli.Misused(cmd, err)
	}
	ctx := cmd.Context()
	return withStore(ctx, t.store, func(store stores.Store) error {
		at, err := t.begin(ctx, store)
		if err != nil {
			return err
		}
		return t.show(ctx, store, query, at)
	})
}

// seen is how far the log was shown: the anchor proves that it is the same log still.
type seen struct {
	eventstore.Identity
	eventstore.Anchor
}

// begin returns where to begin.
func (t *tail) begin(ctx context.Context, store eventstore.LogReader) (seen, error) {
	after := eventstore.Position(t.after)
	if t.after < 0 {
		head, err := store.Head(ctx)
		if err != nil {
			return seen{}, err
		}
		after = max(0, head.Position-eventstore.Position(t.last))
	}
	read, err := store.ReadLog(ctx, eventstore.LogQuery{After: after, Limit: 1})
	if err != nil {
		return seen{}, err
	}
	return seen{read.Identity, read.After}, nil
}

// pauses between two looks at a store that is away.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

func (t *tail) show(ctx context.Context, store eventstore.LogReader, query eventstore.Query, at seen) error {
	pause := firstPause
	for {
		err := t.next(ctx, store, query, &at)
		if err == nil && t.follow {
			err = eventstore.WaitAppended(ctx, store, at.Position)
		}
		switch {
		case ctx.Err() != nil && t.follow:
			return nil // Ctrl-C is how it ends
		case err == nil && !t.follow:
			return nil
		case err == nil:
			pause = firstPause
		case t.follow && errors.Is(err, eventstore.ErrStoreBusy):
			if pause == firstPause {
				fmt.Fprintf(t.stderr, "the store is away, trying again (at position %d): %v\n", at.Position, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxPause)
		default:
			return err
		}
	}
}

// next shows what is in the log behind the last event that was looked at.
func (t *tail) next(ctx context.Context, store eventstore.LogReader, query eventstore.Query, at *seen) error {
	read, err := store.ReadLog(ctx, eventstore.LogQuery{Query: query, After: at.Position})
	if err != nil {
		return err
	}
	if read.Identity != at.Identity || read.After != at.Anchor {
		return fmt.Errorf("%w: it was restored or replaced since %s was shown; run it again to see what is there", eventstore.ErrDiverged, at.Anchor)
	}
	for e, err := range read.Events() {
		if err == nil {
			err = t.print(e)
		}
		if err != nil {
			return err
		}
		at.Anchor = eventstore.Anchor{Position: e.Position, EventID: e.ID}
	}
	at.Anchor = read.Through
	return nil
}

func (t *tail) print(e eventstore.Recorded) error {
	if t.form == cli.JSONLines {
		return cli.NewEncoder(t.stdout).Encode(shown(e))
	}
	return cli.NewPrinter(t.stdout).Line(fmt.Sprintf("%9d  %s  %-22s  %s@%d", e.Position, clock(e.RecordedAt), cli.Printable(e.Type), cli.Printable(string(e.Stream)), e.Version))
}
