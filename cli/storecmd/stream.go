package storecmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
)

func streamCommand() *cobra.Command {
	return cli.Group("stream", "Look into one stream", streamShowCommand())
}

// streamShow is one run of the verb.
type streamShow struct {
	store   string
	form    cli.Output
	in      eventstore.StreamRange
	from    int64
	payload bool
}

const streamShowHelp = `Shows the events of one stream, the oldest first: versions, times, types, and with --payload
everything that is in them.

A deleted stream cannot be read; its events are still in the log: leftfold events shows them.`

func streamShowCommand() *cobra.Command {
	s := &streamShow{}
	cmd := &cobra.Command{
		Use:   "show STREAM",
		Short: "Show the events of a stream",
		Long:  streamShowHelp,
		Example: `  leftfold stream show order-42 --store sqlite:shop.db --payload
  leftfold stream show order-42 --store sqlite:shop.db --backwards --limit 3 -o jsonl`,
		Args: cli.OneArgument("the name of one stream, such as order-42"),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, eventstore.StreamID(args[0])) },
	}
	stores.Flag(cmd, &s.store)
	cmd.Flags().Int64Var(&s.from, "from", 1, "the first version to show")
	cmd.Flags().Int64Var((*int64)(&s.in.Through), "through", 0, "the last version to show; 0: the newest")
	cmd.Flags().BoolVar(&s.in.Backwards, "backwards", false, "the newest first")
	cmd.Flags().IntVar(&s.in.Limit, "limit", 100, "the most events to show; 0: all")
	cmd.Flags().BoolVar(&s.payload, "payload", false, "show metadata and data")
	cli.OutputFlag(cmd, &s.form, cli.Table, cli.JSON, cli.JSONLines)
	return cmd
}

func (s *streamShow) run(cmd *cobra.Command, stream eventstore.StreamID) error {
	if err := stream.Validate(); err != nil {
		return cli.Misused(cmd, err)
	}
	s.in.After = eventstore.Version(s.from - 1)
	if err := s.in.Validate(); err != nil || s.from < 1 {
		return cli.Misused(cmd, errors.New("--from starts at 1, and neither --through nor --limit is negative"))
	}
	return withStore(cmd.Context(), s.store, func(store stores.Store) error {
		list := listed{out: cmd.OutOrStdout(), form: s.form, payload: s.payload}
		shown := 0
		for e, err := range store.ReadStream(cmd.Context(), stream, s.in) {
			if errors.Is(err, eventstore.ErrStreamDeleted) {
				return fmt.Errorf("stream %s is deleted; its events are still in the log: leftfold events", stream)
			}
			if err != nil {
				return err
			}
			shown++
			if err := list.add(e); err != nil {
				return err
			}
		}
		if shown == 0 {
			return fmt.Errorf("there is no event of %s from version %d on; leftfold streams lists what there is", stream, s.from)
		}
		return list.done(fmt.Sprintf("%s: %s events", cli.Printable(string(stream)), cli.Thousands(shown)), false, map[string]any{"stream": stream})
	})
}
