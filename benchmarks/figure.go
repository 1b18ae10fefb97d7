package main

import (
	"fmt"
	"strings"

	"github.com/leftfold/leftfold/benchmarks/plot"
	"github.com/leftfold/leftfold/benchmarks/report"
)

// bar is a group of bars: which workload, and how many events one of its operations reads.
type bar struct {
	label    string
	workload string
	events   float64
}

// figure draws the results: appends and losses, reads and ratios.
func figure(e environment, r *report.Results) plot.Figure {
	appends := []bar{
		{"1", "append/writers=1", 1}, {"8", "append/writers=8", 1}, {"64", "append/writers=64", 1}, {"256", "append/writers=256", 1},
	}
	reads := []bar{
		{"streams of 10", "load/events=10/readers=16", 10}, {"streams of 100", "load/events=100/readers=16", 100},
		{"streams of 1,000", "load/events=1000/readers=16", 1000}, {"whole log", "replay", 1},
	}
	return plot.Figure{
		Title: "Event stores for Go on one PostgreSQL server",
		Subtitle: fmt.Sprintf("%s, %d cores shared by client and server; %s; durable commits; medians of %d rounds of %s",
			e.CPU, e.Cores, strings.Join(strings.Fields(e.Postgres)[:2], " "), e.Options.rounds, e.Options.window),
		Charts: [2]plot.Bars{
			bars(r, "Appends", "appends per second, one event each (logarithmic)", "writers", appends),
			bars(r, "Reads", "events per second (logarithmic)", "16 readers load streams at random; one reader reads the whole log", reads),
		},
		Tables: [2]plot.Table{lossTable(r), ratioTable(r, append(appends, reads...))},
	}
}

func bars(r *report.Results, title, axis, across string, groups []bar) plot.Bars {
	chart := plot.Bars{Title: title, Axis: axis, Across: across}
	for _, g := range groups {
		chart.Groups = append(chart.Groups, g.label)
	}
	for _, name := range plotted() {
		series := plot.Series{Name: name, Values: make([]float64, len(groups))}
		for n, g := range groups {
			if row, ok := plottedRow(r, g.workload, name); ok {
				series.Values[n] = row.Rate().Median * g.events
			}
		}
		chart.Series = append(chart.Series, series)
	}
	return chart
}

// plotted are the names in the legend: the three pools of naive are one.
func plotted() []string {
	names := []string{ours.Name, "naive"}
	for _, peer := range peers {
		names = append(names, peer.Name)
	}
	return names
}

func plottedRow(r *report.Results, workload, name string) (*report.Row, bool) {
	if name == "naive" {
		return r.BestNaive(workload)
	}
	return r.Row(workload, name)
}

func lossTable(r *report.Results) plot.Table {
	t := plot.Table{
		Title:  "Events that a live reader never saw",
		Note:   "16 writers, one reader by each store's own subscription",
		Header: []string{"", "missed", "committed", "twice"},
	}
	for _, l := range r.Losses {
		if l.System == prototype.Name {
			continue // no store
		}
		t.Rows = append(t.Rows, plot.Row{
			Cells: []string{l.System, fmt.Sprint(l.Missed), fmt.Sprint(l.Committed), fmt.Sprint(l.Duplicated)},
			Bad:   l.Missed > 0,
		})
	}
	return t
}

// ratioTable says how many times faster Leftfold is than the reference and than the
// fastest peer.
func ratioTable(r *report.Results, workloads []bar) plot.Table {
	t := plot.Table{
		Title:  "Leftfold as a multiple",
		Note:   "of the naive append or read, and of the fastest peer",
		Header: []string{"", "of naive", "of a peer", ""},
	}
	for _, w := range workloads {
		mine, ok := r.Row(w.workload, ours.Name)
		if !ok {
			continue
		}
		cells := []string{w.label, multiple(mine, r.BestNaive), multiple(mine, r.BestPeer), ""}
		if strings.HasPrefix(w.workload, "append/") {
			cells[0] += " writers"
		}
		if peer, ok := r.BestPeer(w.workload); ok {
			cells[3] = peer.System
		}
		t.Rows = append(t.Rows, plot.Row{Cells: cells})
	}
	return t
}

func multiple(mine *report.Row, of func(workload string) (*report.Row, bool)) string {
	other, ok := of(mine.Workload.Name)
	if !ok || other.Rate().Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", mine.Rate().Median/other.Rate().Median)
}
