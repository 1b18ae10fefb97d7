package report

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText writes the tables of every workload, the loss test, the failures and the goals.
func (r *Results) WriteText(w io.Writer, goals []Goal) {
	for _, workload := range r.workloads() {
		r.writeWorkload(w, workload)
	}
	r.writeLosses(w)
	if len(r.Failures) > 0 {
		fmt.Fprintf(w, "\nMeasurements that failed\n\n")
		for _, failure := range r.Failures {
			fmt.Fprintf(w, "  %s\n", failure)
		}
	}
	r.writeGoals(w, goals)
	r.writeCalibrations(w)
}

func (r *Results) writeWorkload(w io.Writer, workload Workload) {
	fmt.Fprintf(w, "\n%s: %s\n\n", workload.Name, workload.Title)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\t%s\tmin\tmax\tvs naive\tp50 ms\tp99 ms\t\n", workload.Unit)
	naive, hasNaive := r.BestNaive(workload.Name)
	for _, row := range r.Of(workload.Name) {
		rate, ratio := row.Rate(), ""
		if hasNaive {
			ratio = fmt.Sprintf("%.2fx", rate.Median/naive.Rate().Median)
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t%s\t%s\t%s\t\n", row.System, rate.Median, rate.Min, rate.Max, ratio,
			milliseconds(row.Quantile(0.5).Median), milliseconds(row.Quantile(0.99).Median))
	}
	_ = table.Flush()
}

func (r *Results) writeLosses(w io.Writer) {
	if len(r.Losses) == 0 {
		return
	}
	fmt.Fprintf(w, "\nloss: 16 writers, every 4th append of 10 events, one live reader; one run each\n\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\tcommitted\tMISSED\tshare\tdelivered twice\tout of order\t\n")
	for _, l := range r.Losses {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\t%d\t\n", l.System, l.Committed, l.Missed, l.MissedShare(), l.Duplicated, l.OutOfOrder)
	}
	_ = table.Flush()
}

// MissedShare returns what part of the committed events was missed, in percent.
func (l Loss) MissedShare() string {
	if l.Missed == 0 || l.Committed == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(l.Missed)/float64(l.Committed))
}

func (r *Results) writeGoals(w io.Writer, goals []Goal) {
	fmt.Fprintf(w, "\nGoals: medians of this run\n\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, goal := range goals {
		value, verdict := goal.Judge(r)
		fmt.Fprintf(table, "  %s\t%s\t%s\n", verdict, goal.Text, value)
	}
	_ = table.Flush()
}
