package storecmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
)

// streams is one run of the verb.
type streams struct {
	store  string
	form   cli.Output
	prefix string
	after  int64
	limit  int
}

const streamsHelp = `Lists streams in the order in which they began, each with the position and the time of its first event.

It walks along the log and stops when it has enough, so a page is as fast in a log of a billion events
as in one of ten; nothing is counted. The next page is behind the last position: --after. A prefix that few
streams have makes the walk longer.`

func streamsCommand() *cobra.Command {
	s := &streams{}
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "List streams",
		Long:  streamsHelp,
		Example: `  leftfold streams --store sqlite:shop.db
  leftfold streams --store sqlite:shop.db --prefix order- --after 1200 --limit 20`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	stores.Flag(cmd, &s.store)
	cmd.Flags().StringVar(&s.prefix, "prefix", "", "only streams whose names begin so")
	cmd.Flags().Int64Var(&s.after, "after", 0, "only streams that began behind this position")
	cmd.Flags().IntVar(&s.limit, "limit", 50, "the most streams to list; 0: all")
	cli.OutputFlag(cmd, &s.form, cli.Table, cli.JSON, cli.JSONLines)
	return cmd
}

type shownStream struct {
	Stream    eventstore.StreamID `json:"stream"`
	FirstType string              `json:"first_type"`
	BeganAt   time.Time           `json:"began_at"`
	Position  eventstore.Position `json:"position"`
}

// page is the JSON form. Next is for --after, 0 if there is no more.
type streamsPage struct {
	Streams []shownStream       `json:"streams"`
	Next    eventstore.Position `json:"next"`
}

func (s *streams) run(cmd *cobra.Command) error {
	if s.after < 0 || s.limit < 0 {
		return cli.Misused(cmd, errors.New("--after and --limit must not be negative"))
	}
	return withStore(cmd.Context(), s.store, func(store stores.Store) error {
		found, err := s.find(cmd.Context(), store)
		if err != nil {
			return err
		}
		return s.print(cmd, found)
	})
}

func (s *streams) find(ctx context.Context, store eventstore.LogReader) (found streamsPage, err error) {
	found.Streams = []shownStream{}
	read, err := store.ReadLog(ctx, eventstore.LogQuery{After: eventstore.Position(s.after)})
	if errors.Is(err, eventstore.ErrAheadOfLog) {
		return found, nil // the page behind the last one
	}
	if err != nil {
		return found, err
	}
	for e, err := range read.Events() {
		if err != nil {
			return found, err
		}
		if e.Version != 1 || !strings.HasPrefix(string(e.Stream), s.prefix) {
			continue
		}
		if s.limit > 0 && len(found.Streams) == s.limit {
			found.Next = found.Streams[s.limit-1].Position
			break
		}
		found.Streams = append(found.Streams, shownStream{e.Stream, e.Type, e.RecordedAt, e.Position})
	}
	return found, nil
}

func (s *streams) print(cmd *cobra.Command, found streamsPage) error {
	out := cmd.OutOrStdout()
	switch s.form {
	case cli.JSON:
		return cli.PrintJSON(out, found)
	case cli.JSONLines:
		for _, stream := range found.Streams {
			if err := cli.NewEncoder(out).Encode(stream); err != nil {
				return err
			}
		}
		return nil
	}
	var rows []cli.Row
	for _, f := range found.Streams {
		rows = append(rows, cli.Row{cli.Snip(cli.Printable(string(f.Stream)), 50), cli.Printable(f.FirstType), clock(f.BeganAt), cli.Thousands(f.Position)})
	}
	cli.NewPrinter(out).Table(fmt.Sprintf("%s streams", cli.Thousands(len(rows))), 3, cli.Row{"stream", "began with", "at (UTC)", "position"}, rows)
	if found.Next > 0 {
		fmt.Fprintf(out, " … more: --after %d\n", found.Next)
	}
	return nil
}
