package report

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Calibration is a workload in which the prototype set a goal. How Leftfold compares with
// it tells a goal that the product misses from one that this machine does not have.
type Calibration struct {
	Text     string
	Workload string
	Naive    string // the workload of naive that the goal compares with
}

// Calibrations are those of the goals of appends, with the names of the workloads in the plan.
func Calibrations() []Calibration {
	return []Calibration{
		{"1 writer", "append/writers=1", "append/writers=1"},
		{"8 writers", "append/writers=8", "append/writers=8"},
		{"64 writers", "append/writers=64", "append/writers=64"},
		{"256 writers", "append/writers=256", "append/writers=256"},
		{"64 writers, 10 events an append", "batch/events=10", "batch/events=10"},
		{"4 processes of 64 writers", "processes/4x64", "processes/4x64"},
		{"three tags an event; naive has none", "features/tagged", "features/plain"},
		{"conditional appends; naive's are not", "features/conditional", "features/plain"},
	}
}

// writeCalibrations writes the ratios of those workloads in which the prototype was measured.
func (r *Results) writeCalibrations(w io.Writer) {
	var measured []Calibration
	for _, c := range Calibrations() {
		if _, ok := r.Row(c.Workload, Prototype); ok {
			measured = append(measured, c)
		}
	}
	if len(measured) == 0 {
		return
	}
	fmt.Fprintf(w, "\nGoals against the prototype: what the design behind the goals reaches on this machine\n\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  \tleftfold / prototype\tleftfold / naive\tprototype / naive\n")
	for _, c := range measured {
		ours, prototype, naive := row(c.Workload, Ours), row(c.Workload, Prototype), bestNaive(c.Naive)
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", c.Text, r.ratio(ours, prototype), r.ratio(ours, naive), r.ratio(prototype, naive))
	}
	_ = table.Flush()
}

// ratio returns how many times the one row's rate is that of the other, "-" if the run
// left one of them out.
func (r *Results) ratio(one, other find) string {
	a, ok := one(r)
	b, also := other(r)
	if !ok || !also || b.Rate().Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", a.Rate().Median/b.Rate().Median)
}
