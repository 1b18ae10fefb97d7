package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
)

// prune is one run of commands prune: what to forget, and where.
type prune struct {
	age    time.Duration
	older  string
	store  string
	yes    bool
	output cli.Output
}

const pruneHelp = `Makes a store forget the ids of old commands.

A store remembers the id of every command for ever: one that is sent again, however late, gets
its first receipt and changes nothing. For the ids that are pruned this promise is given up:
a command that is sent again under one of them is carried out A SECOND TIME. So choose
an age that no retry, no queue and no restored client can reach. What it brings is room for new
ones on disk: a small row for each append that had an id.

Events are not touched. Forgotten are the ids of the commands before the first one that is
younger, in the order of the log. Programs may go on appending meanwhile. In Postgres it needs
the role that owns the store.`

func commandsCommand() *cobra.Command {
	return cli.Group("commands", "Look after the command ids of a store", pruneCommand())
}

func pruneCommand() *cobra.Command {
	p := &prune{}
	cmd := &cobra.Command{
		Use:     "prune --older-than AGE",
		Short:   "Forget the ids of old commands; one that is sent again is carried out again",
		Long:    pruneHelp,
		Example: "  leftfold commands prune --older-than 90d --store sqlite:shop.db",
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if err := cli.NoArguments(cmd, args); err != nil {
				return err
			}
			if p.age, err = parseAge(p.older); err != nil {
				return cli.Misused(cmd, err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	stores.Flag(cmd, &p.store)
	cmd.Flags().StringVar(&p.older, "older-than", "", "forget the ids of commands of so long ago: 90d or 2160h (required)")
	cli.YesFlag(cmd, &p.yes)
	cli.OutputFlag(cmd, &p.output, cli.Table, cli.JSON)
	return cmd
}

// parseAge reads a duration, which may be in days too.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, errors.New("say how old: --older-than 90d")
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		const day, most = 24 * time.Hour, int64(math.MaxInt64 / (24 * time.Hour))
		if n, err := strconv.ParseInt(days, 10, 64); err == nil && n > 0 && n <= most {
			return time.Duration(n) * day, nil
		}
	} else if age, err := time.ParseDuration(text); err == nil && age > 0 {
		return age, nil
	}
	return 0, fmt.Errorf("--older-than %s is not how long ago, such as 90d or 2160h", text)
}

// pruned is the JSON form of what was done.
type pruned struct {
	Before time.Time `json:"before"`
	Pruned int64     `json:"pruned"`
}

func (p *prune) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	store, err := stores.Open(ctx, p.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	pruner, ok := store.(eventstore.CommandPruner)
	if !ok {
		return &eventstore.UnsupportedError{Part: eventstore.Pruning}
	}
	done := pruned{Before: time.Now().Add(-p.age).UTC().Truncate(time.Second)}
	if err := cli.Confirm(cmd, p.confirmation(done.Before)); err != nil {
		return err
	}
	if done.Pruned, err = pruner.PruneCommands(ctx, done.Before); err != nil {
		return fmt.Errorf("%w; %s command ids are forgotten, the same command line goes on", err, cli.Thousands(done.Pruned))
	}
	return p.print(cmd.OutOrStdout(), done)
}

func (p *prune) confirmation(before time.Time) cli.Confirmation {
	return cli.Confirmation{
		Yes: p.yes,
		Question: fmt.Sprintf("The store will forget the ids of commands of before %s.\n"+
			"One of these commands that is sent again will be carried out a second time. This cannot be undone.\n"+
			"Forget them?", before.Format(time.RFC3339)),
		Undone: "nothing was forgotten",
		Unless: "say --yes if commands that old may be carried out a second time when they are sent again",
	}
}

func (p *prune) print(stdout io.Writer, done pruned) error {
	if p.output == cli.JSON {
		return cli.PrintJSON(stdout, done)
	}
	_, err := fmt.Fprintf(stdout, "Forgot %s command ids of before %s. One of these commands that is sent again will be carried out a second time.\n",
		cli.Thousands(done.Pruned), done.Before.Format(time.RFC3339))
	return err
}
