package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/services/books"
)

// books is the verb that waits until nobody has anything left to do, and says whether what all services
// have recorded adds up.
func (o *options) books() *cobra.Command {
	var output cli.Output
	var within time.Duration
	cmd := &cobra.Command{
		Use:     "books",
		GroupID: "look",
		Short:   "Does it all add up?",
		Long: `Waits until the services have nothing left to do, reads the logs and the read models of all, prints
the sums, and exits with 1 if they do not add up, naming what does not.`,
		Example: "  shop books -o json",
		Args:    cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.find(); err != nil {
				return err
			}
			ctx, stop := context.WithTimeout(cmd.Context(), within)
			defer stop()
			all, closing, err := o.Books(ctx)
			if err != nil {
				return err
			}
			report, err := books.Wait(ctx, all)
			if cmd.Context().Err() != nil {
				return errors.Join(err, closing())
			}
			return errors.Join(tell(cmd.OutOrStdout(), output, report, err), closing())
		},
	}
	cmd.Flags().DurationVar(&within, "within", time.Minute, "how long to wait for the services")
	cli.OutputFlag(cmd, &output, cli.Table, cli.JSON)
	o.storeFlags(cmd)
	return cmd
}

// told are the books in JSON.
type told struct {
	books.Report

	Findings []string `json:"findings"` // what does not add up
}

// tell prints the books. Its error says whether they add up.
func tell(out io.Writer, form cli.Output, r books.Report, err error) error {
	t := told{r, []string{}}
	if err != nil {
		t.Findings = strings.Split(err.Error(), "\n")
	}
	if form == cli.JSON {
		if err := cli.PrintJSON(out, t); err != nil {
			return err
		}
	} else {
		t.print(out)
	}
	switch len(t.Findings) {
	case 0:
		return nil
	case 1:
		return err
	}
	return fmt.Errorf("the books do not add up: %s, and %d more", t.Findings[0], len(t.Findings)-1)
}

func (t told) print(out io.Writer) {
	n := cli.Thousands[int64]
	line := func(of, format string, values ...any) {
		fmt.Fprintf(out, "  %-8s%s\n", of, fmt.Sprintf(format, values...))
	}
	line("orders", "%s placed: %s fulfilled, %s cancelled, %s open", n(t.Placed), n(t.Fulfilled), n(t.Cancelled), n(t.Open))
	line("units", "%s received: %s on hand, %s sold, %s of them returned", n(t.Received), n(t.OnHand), n(t.Sold), n(t.Returned))
	line("money", "%s taken, %s refunded; fulfilled orders cost %s", retail.Pounds(t.Taken), retail.Pounds(t.Refunded), retail.Pounds(t.FulfilledPence))
	line("events", "%s, of which read models have applied %s; %s rows were compared with a fresh fold", n(t.Events), n(t.Applied), cli.Thousands(t.Rows))
	if len(t.Findings) == 0 {
		fmt.Fprintln(out, "OK: it all adds up")
	}
	for _, finding := range t.Findings {
		fmt.Fprintln(out, "FAILED:", finding)
	}
}
