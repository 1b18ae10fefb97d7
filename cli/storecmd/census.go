package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/schema"
)

func schemaCommand() *cobra.Command {
	return cli.Group("schema", "Tell which shapes of events a store holds", censusCommand())
}

// census is one run of the verb.
type census struct {
	store          string
	output         cli.Output
	stdout, stderr io.Writer
}

const censusHelp = `Counts the events of each type and schema version in a store, with their first and last positions
and some between. It reads the whole log and changes nothing.

Whether a program can read them all is a question for that program: see package schema.`

func censusCommand() *cobra.Command {
	c := &census{}
	cmd := &cobra.Command{
		Use:     "census",
		Short:   "Count the events of each type and schema version",
		Long:    censusHelp,
		Example: "  leftfold schema census --store sqlite:shop.db",
		Args:    cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.stdout, c.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return c.run(cmd.Context())
		},
	}
	stores.Flag(cmd, &c.store)
	cli.OutputFlag(cmd, &c.output, cli.Table, cli.JSON)
	return cmd
}

func (c *census) run(ctx context.Context) (err error) {
	store, err := stores.Open(ctx, c.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	head, err := store.Head(ctx)
	if err != nil {
		return err
	}
	bar := cli.NewBar(c.stderr, "read", int64(head.Position))
	taken, err := schema.Take(ctx, store, func(done, through eventstore.Position) {
		bar.Set(int64(done), fmt.Sprintf("%s of %s events", cli.Thousands(done), cli.Thousands(through)))
	})
	bar.Finish(err == nil)
	if err != nil {
		return err
	}
	return c.print(taken)
}

func (c *census) print(taken schema.Census) error {
	if c.output == cli.JSON {
		return cli.PrintJSON(c.stdout, taken)
	}
	rows := make([]cli.Row, len(taken.Shapes))
	for n, s := range taken.Shapes {
		rows[n] = cli.Row{cli.Printable(s.Type), s.SchemaVersion, cli.Thousands(s.Events), cli.Thousands(s.First), cli.Thousands(s.Last), s.Some()}
	}
	title := fmt.Sprintf("%s events in %d shapes", cli.Thousands(taken.Events), len(taken.Shapes))
	cli.NewPrinter(c.stdout).Table(title, 1, cli.Row{"event type", "version", "events", "first", "last", "some are at"}, rows)
	return nil
}
