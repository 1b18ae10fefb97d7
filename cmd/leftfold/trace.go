package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// trace is one run of the verb: what to look for, and where.
type trace struct {
	id     string
	store  string
	since  string
	last   int64
	output string

	stdout, stderr io.Writer
}

const traceHelp = `Shows who did what when in one conversation, across streams, as a tree of causes.

ID is the conversation's (correlation_id in the metadata of its events), or the id of a
command or of an event: then it is their conversation, from there on.

There is no index of conversations, because it would slow down every append by a third. So
the log is read, at 150,000 to 450,000 events a second. An ID that is a UUID with a time in it (version
7), as those of the command bus and of events are, is looked for from ten minutes before that
time on. Anything else is looked for in the whole log, unless --since or --last say less.`

func traceCommand(stdout, stderr io.Writer) *cobra.Command {
	t := &trace{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Show who did what when in one conversation",
		Long:  traceHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return misused(cmd, errors.New("want the id of one conversation, command or event"))
			}
			t.id = args[0]
			if t.output != "text" && t.output != "json" && t.output != "jsonl" {
				return misused(cmd, fmt.Errorf("unknown output format %q: want text, json or jsonl", t.output))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd.Context()) },
	}
	storeFlag(cmd, &t.store)
	cmd.Flags().StringVar(&t.since, "since", "", "look from this time on: 24h, 2026-11-26 or 2026-11-26T18:00:00Z; all: the whole log")
	cmd.Flags().Int64Var(&t.last, "last", 0, "look in the newest so many events only")
	cmd.Flags().StringVarP(&t.output, "output", "o", "text", "text, json for one object, or jsonl for an object a line")
	return cmd
}

func (t *trace) run(ctx context.Context) (err error) {
	since, err := sinceTime(t.since, t.id, time.Now())
	if err != nil {
		return &usageError{err}
	}
	store, err := openStore(ctx, t.store)
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
	encoder := json.NewEncoder(t.stdout)
	encoder.SetEscapeHTML(false)
	switch t.output {
	case "json":
		encoder.SetIndent("", "  ")
		return encoder.Encode(found)
	case "jsonl":
		for _, e := range found.Events {
			if err := encoder.Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := io.WriteString(t.stdout, tree(found))
	return err
}
