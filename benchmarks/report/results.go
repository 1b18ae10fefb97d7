// Package report turns samples into what people read: a text with every number, a
// verdict on every goal, and raw samples for benchstat.
package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/benchmarks/load"
	"github.com/leftfold/leftfold/benchmarks/stats"
)

// Unit is what a rate counts.
type Unit string

// The units. All but events count operations.
const (
	Appends Unit = "appends/s"
	Loads   Unit = "loads/s"
	Events  Unit = "events/s"
	Probes  Unit = "probes/s"
)

func (u Unit) rate(s *stats.Sample) float64 {
	if u == Events {
		return s.EventsPerSecond()
	}
	return s.OpsPerSecond()
}

// Workload is what rows of different systems are compared in.
type Workload struct {
	Name  string // such as "append/writers=64"
	Title string // one line for the reader
	Unit  Unit
}

// Row is the samples of one system under one workload, one a round.
type Row struct {
	Workload Workload
	System   string
	Samples  []*stats.Sample
}

// Rate returns the spread of the row's rates.
func (r *Row) Rate() stats.Spread {
	return r.spread(r.Workload.Unit.rate)
}

// Quantile returns the spread of a quantile of the latency, in nanoseconds.
func (r *Row) Quantile(q float64) stats.Spread {
	return r.spread(func(s *stats.Sample) float64 { return float64(s.Latency.Quantile(q)) })
}

func (r *Row) spread(of func(*stats.Sample) float64) stats.Spread {
	values := make([]float64, len(r.Samples))
	for i, s := range r.Samples {
		values[i] = of(s)
	}
	return stats.SpreadOf(values...)
}

// Results are all rows of a run, in the order in which they were first measured.
type Results struct {
	Rows     []*Row
	Losses   []Loss
	Failures []string
}

// Loss is the outcome of the loss test for one system.
type Loss struct {
	System string
	load.Loss
}

// Add adds a sample to its row.
func (r *Results) Add(w Workload, system string, s *stats.Sample) *Row {
	row, ok := r.Row(w.Name, system)
	if !ok {
		row = &Row{Workload: w, System: system}
		r.Rows = append(r.Rows, row)
	}
	row.Samples = append(row.Samples, s)
	return row
}

// Fail notes a measurement that ended with an error. The run goes on.
func (r *Results) Fail(workload, system string, err error) {
	r.Failures = append(r.Failures, fmt.Sprintf("%s %s: %v", workload, system, err))
}

// Row returns the row of the system under the workload.
func (r *Results) Row(workload, system string) (*Row, bool) {
	for _, row := range r.Rows {
		if row.Workload.Name == workload && row.System == system {
			return row, true
		}
	}
	return nil, false
}

// Of returns the rows of a workload.
func (r *Results) Of(workload string) []*Row {
	var rows []*Row
	for _, row := range r.Rows {
		if row.Workload.Name == workload {
			rows = append(rows, row)
		}
	}
	return rows
}

// workloads returns every workload that has rows, in order.
func (r *Results) workloads() []Workload {
	var all []Workload
	seen := map[string]bool{}
	for _, row := range r.Rows {
		if !seen[row.Workload.Name] {
			seen[row.Workload.Name] = true
			all = append(all, row.Workload)
		}
	}
	return all
}

// Ours, Naive and Prototype are how the results tell the compared from the references.
const (
	Ours      = "leftfold"
	Naive     = "naive-" // followed by the size of its pool
	Prototype = "prototype"
)

// isNoStore is about systems that are measured to know what a store can do on this machine.
func isNoStore(system string) bool {
	return strings.HasPrefix(system, "copy-") || system == "psqlcopy" || strings.HasSuffix(system, "-alone") || system == Prototype
}

func isPeer(system string) bool {
	return !isNoStore(system) && !strings.HasPrefix(system, Naive) && !strings.HasPrefix(system, Ours)
}

// best returns the row with the highest median among those that match.
func best(rows []*Row, matches func(system string) bool) (*Row, bool) {
	var top *Row
	for _, row := range rows {
		if matches(row.System) && (top == nil || row.Rate().Median > top.Rate().Median) {
			top = row
		}
	}
	return top, top != nil
}

// BestNaive returns the row of the reference with its best pool.
func (r *Results) BestNaive(workload string) (*Row, bool) {
	return best(r.Of(workload), func(system string) bool { return strings.HasPrefix(system, Naive) })
}

// BestPeer returns the row of the fastest peer.
func (r *Results) BestPeer(workload string) (*Row, bool) { return best(r.Of(workload), isPeer) }

func milliseconds(nanoseconds float64) string {
	return fmt.Sprintf("%.2f", nanoseconds/float64(time.Millisecond))
}
