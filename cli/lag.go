package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// lagging is how far a generation is behind.
type lagging struct {
	Name          string              `json:"name"`
	Version       int                 `json:"version"`
	Stage         projection.Stage    `json:"stage"`
	Position      eventstore.Position `json:"position"`
	Head          eventstore.Position `json:"head"`
	Lag           int64               `json:"lag"`
	BehindSeconds float64             `json:"behind_seconds"`
}

const lagHelp = `Shows how far each read model is behind the newest event, in events and in time. With --most or --longest it is a
check: the code is 1 if a live one is behind by more.`

func (v verbs) lag() *cobra.Command {
	var output Output
	var most int64
	var longest time.Duration
	cmd := &cobra.Command{
		Use: "lag", Short: "Show how far each read model is behind", Long: lagHelp,
		Example: v.example("lag --longest 30s"), Args: NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < -1 || longest < 0 {
				return Misused(cmd, errors.New("--most and --longest: want 0 or more"))
			}
			return v.look(cmd.Context(), func(models []model) error {
				all, err := standings(cmd.Context(), models)
				if err != nil {
					return err
				}
				if err := printLag(cmd, output, all); err != nil {
					return err
				}
				return tooFar(all, most, longest)
			})
		},
	}
	cmd.Flags().Int64Var(&most, "most", -1, "fail if a live one is behind by more `events` (default: any number will do)")
	cmd.Flags().DurationVar(&longest, "longest", 0, "fail if a live one is behind for longer (default: any time will do)")
	OutputFlag(cmd, &output, Table, JSON, JSONLines)
	return v.add(cmd)
}

func tooFar(all []standing, most int64, longest time.Duration) error {
	for _, s := range all {
		if s.Stage != projection.Live {
			continue
		}
		if most >= 0 && s.Lag > most || longest > 0 && s.behind() > longest {
			return fmt.Errorf("%s is %s events behind, for %s: see projections list", s.generation(), Thousands(s.Lag), ago(s.behind()))
		}
	}
	return nil
}

func printLag(cmd *cobra.Command, output Output, all []standing) error {
	out := cmd.OutOrStdout()
	if output != Table {
		lags := make([]lagging, len(all))
		for n, s := range all {
			lags[n] = lagging{s.Name, s.Version, s.Stage, s.Position, s.Head, s.Lag, s.BehindSeconds}
		}
		return printAll(out, output, "lag", lags)
	}
	var rows []Row
	for _, s := range all {
		rows = append(rows, Row{s.generation(), orDash(string(s.Stage)), Thousands(s.Position), Thousands(s.Lag), ago(s.behind())})
	}
	NewPrinter(out).Table("Lag", 2, Row{"name", "stage", "position", "lag", "behind"}, rows)
	return nil
}
