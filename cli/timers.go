package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/projection"
)

// pending is a timer that has not fired.
type pending struct {
	Saga     string    `json:"saga"`
	Instance string    `json:"instance"`
	Name     string    `json:"name"`
	Due      time.Time `json:"due"`
	ID       string    `json:"id"`
}

const timersHelp = `Shows the timers of sagas that are pending, those first that are due first. A timer's name is the step that may time out,
or the command that is tried again. One that is overdue for long is fired by nobody: see projections list.`

func (v verbs) timers(open lookAtSagas) *cobra.Command {
	var output Output
	var limit int
	cmd := &cobra.Command{
		Use: "timers [SAGA]", Short: "Show the timers of sagas that are pending", Long: timersHelp,
		Example: v.example("timers"), Args: atMostOne("the name of a saga"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return Misused(cmd, errors.New("--limit: want 1 or more"))
			}
			return open(cmd.Context(), func(all []story) error {
				all, err := sagasNamed(all, args)
				if err != nil {
					return err
				}
				timers, err := timersOf(cmd.Context(), all, limit)
				if err != nil {
					return err
				}
				return printTimers(cmd, output, timers)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many of each saga")
	OutputFlag(cmd, &output, Table, JSON, JSONLines)
	return completes(v.add(cmd), open.names)
}

func timersOf(ctx context.Context, sagas []story, limit int) (all []pending, err error) {
	for _, s := range sagas {
		found := 0
		for row, err := range projection.NewReader(s.sink, s.saga.Timers()).All(ctx, projection.ListQuery{By: "due", Limit: min(limit, 1000)}) {
			if errors.Is(err, projection.ErrNotBuilt) || found == limit {
				break
			}
			if err != nil {
				return nil, err
			}
			found++
			all = append(all, pending{s.saga.Name(), row.Instance, row.Name, row.Due, row.ID})
		}
	}
	return all, nil
}

func printTimers(cmd *cobra.Command, output Output, all []pending) error {
	out := cmd.OutOrStdout()
	if output != Table {
		return printAll(out, output, "timers", all)
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "No timers are pending.")
		return nil
	}
	var rows []Row
	for _, t := range all {
		due := "in " + ago(time.Until(t.Due))
		if late := time.Since(t.Due); late > 0 {
			due = ago(late) + " overdue"
		}
		rows = append(rows, Row{due, t.Saga, Printable(t.Instance), Printable(t.Name), t.Due.UTC().Format(time.RFC3339)})
	}
	NewPrinter(out).Table("Timers", 5, Row{"due", "saga", "instance", "name", "at"}, rows)
	return nil
}
