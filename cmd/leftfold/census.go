package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/schema"
)

func schemaCommand(stdout, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Tell which shapes of events a store holds",
		RunE:  func(cmd *cobra.Command, _ []string) error { return misused(cmd, errors.New("want a verb: census")) },
	}
	cmd.AddCommand(censusCommand(stdout, stderr))
	return cmd
}

// census is one run of the verb.
type census struct {
	store, output  string
	stdout, stderr io.Writer
}

const censusHelp = `Counts the events of each type and schema version in a store, with their first and last positions
and some between. It reads the whole log and changes nothing.

Whether a program can read them all is a question for that program: see package schema.`

func censusCommand(stdout, stderr io.Writer) *cobra.Command {
	c := &census{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:   "census",
		Short: "Count the events of each type and schema version",
		Long:  censusHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return misused(cmd, fmt.Errorf("it takes no arguments, got %q", args))
			}
			if c.output != "text" && c.output != "json" {
				return misused(cmd, fmt.Errorf("unknown output format %q: want text or json", c.output))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	storeFlag(cmd, &c.store)
	cmd.Flags().StringVarP(&c.output, "output", "o", "text", "text or json")
	return cmd
}

func (c *census) run(ctx context.Context) (err error) {
	store, err := openStore(ctx, c.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	head, err := store.Head(ctx)
	if err != nil {
		return err
	}
	bar := newBar(c.stderr, "read", int64(head.Position))
	taken, err := schema.Take(ctx, store, func(done, through eventstore.Position) {
		bar.set(int64(done), fmt.Sprintf("%s of %s events", thousands(done), thousands(through)))
	})
	bar.finish(err == nil)
	if err != nil {
		return err
	}
	return c.print(taken)
}

func (c *census) print(taken schema.Census) error {
	if c.output == "json" {
		encoder := json.NewEncoder(c.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(taken)
	}
	rows := make([]table.Row, len(taken.Shapes))
	for n, s := range taken.Shapes {
		rows[n] = table.Row{printable(s.Type), s.SchemaVersion, thousands(s.Events), thousands(s.First), thousands(s.Last), s.Some()}
	}
	p := printer{c.stdout, plainWidth}
	if width, ok := terminalWidth(c.stdout); ok {
		p.width = width
	}
	title := fmt.Sprintf("%s events in %d shapes", thousands(taken.Events), len(taken.Shapes))
	p.table(title, 1, table.Row{"event type", "version", "events", "first", "last", "some are at"}, rows)
	return nil
}
