package storecmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
)

// selection is what events and tail have in common: which events of the log.
type selection struct {
	types, tags []string
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.types, "type", nil, "only events of this type; may be repeated: of any of them")
	cmd.Flags().StringArrayVar(&s.tags, "tag", nil, "only events with this tag, as customer:17; may be repeated: with all of them")
}

func (s *selection) query() (eventstore.Query, error) {
	item := eventstore.QueryItem{Types: s.types}
	for _, tag := range s.tags {
		item.Tags = append(item.Tags, eventstore.Tag(tag))
	}
	query := eventstore.Query{Items: []eventstore.QueryItem{item}}
	return query, query.Validate()
}

// events is one run of the verb.
type events struct {
	selection

	store          string
	form           cli.Output
	after, through int64
	limit          int
	payload        bool
}

const eventsHelp = `Shows events of the log in the order of their positions, of all streams, deleted ones too.

With --tag it uses the index of tags. With --type alone it reads the log from --after on until it has
enough.`

func eventsCommand() *cobra.Command {
	e := &events{}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show events of the log",
		Long:  eventsHelp,
		Example: `  leftfold events --store sqlite:shop.db --after 1000 --limit 20
  leftfold events --store sqlite:shop.db --type order.placed --tag customer:17 -o jsonl`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	stores.Flag(cmd, &e.store)
	e.flags(cmd)
	cmd.Flags().Int64Var(&e.after, "after", 0, "only events behind this position")
	cmd.Flags().Int64Var(&e.through, "through", 0, "only events up to this position; 0: the newest")
	cmd.Flags().IntVar(&e.limit, "limit", 100, "the most events to show; 0: all")
	cmd.Flags().BoolVar(&e.payload, "payload", false, "show metadata and data")
	cli.OutputFlag(cmd, &e.form, cli.Table, cli.JSON, cli.JSONLines)
	return cmd
}

func (e *events) run(cmd *cobra.Command) error {
	query, err := e.query()
	in := eventstore.LogQuery{Query: query, After: eventstore.Position(e.after), Through: eventstore.Position(e.through), Limit: e.limit}
	if err := errors.Join(err, in.Validate()); err != nil {
		return cli.Misused(cmd, err)
	}
	return withStore(cmd.Context(), e.store, func(store stores.Store) error {
		read, err := store.ReadLog(cmd.Context(), in)
		if err != nil {
			return err
		}
		list := listed{out: cmd.OutOrStdout(), form: e.form, payload: e.payload}
		for event, err := range read.Events() {
			if err == nil {
				err = list.add(event)
			}
			if err != nil {
				return err
			}
		}
		title := fmt.Sprintf("%s events after position %s, up to %s; the log ends at %s",
			cli.Thousands(len(list.all)), cli.Thousands(e.after), cli.Thousands(read.Through.Position), cli.Thousands(read.Head))
		return list.done(title, true, map[string]any{"after": e.after, "through": read.Through.Position, "head": read.Head})
	})
}
