package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/benchmarks/load"
	"github.com/leftfold/leftfold/benchmarks/report"
	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
)

// workload is one table of the results: who is measured, and how.
type workload struct {
	report.Workload

	group   string // what -only selects; rows of a group share a database
	once    bool   // in the first round only
	systems []system.System
	measure func(ctx context.Context, b *bench, s system.System) (*stats.Sample, error)
}

var (
	naive32   = system.Naive(32)
	naives    = []system.System{system.Naive(8), naive32, system.Naive(64)}
	ours      = system.Leftfold
	peers     = system.Peers
	prototype = system.Prototype
)

// all returns the systems, ours first.
func all(naive ...system.System) []system.System {
	return slices.Concat([]system.System{ours}, naive, peers)
}

// appendingSystems are all, and the prototype that set the goals of appends.
func appendingSystems(naive ...system.System) []system.System {
	return append(all(naive...), prototype)
}

// withStreams are those whose streams can be loaded: all but watermill.
func withStreams() []system.System {
	return slices.DeleteFunc(all(naive32), func(s system.System) bool { return s.Name == system.Watermill.Name })
}

// plan is everything that a run measures, in order.
func plan(o options) []workload {
	return slices.Concat(appends(), limits(), processes(), features(), loads(), replays(), loss(), wakeUp(), growth(o))
}

func groups(work []workload) []string {
	var names []string
	for _, w := range work {
		if !slices.Contains(names, w.group) {
			names = append(names, w.group)
		}
	}
	return names
}

func appends() []workload {
	var work []workload
	for _, writers := range []int{1, 8, 64, 256} {
		systems := appendingSystems(naives...)
		if writers <= 8 {
			systems = appendingSystems(naive32) // more connections than writers change nothing
		}
		work = append(work, workload{
			Workload: report.Workload{
				Name:  fmt.Sprintf("append/writers=%d", writers),
				Title: fmt.Sprintf("1 event an append, writers %d, expected version known and right", writers),
				Unit:  report.Appends,
			},
			group: "append", systems: systems,
			measure: appending(load.Append{Writers: writers, Events: 1}),
		})
	}
	for _, events := range []int{10, 100} {
		work = append(work, workload{
			Workload: report.Workload{
				Name:  fmt.Sprintf("batch/events=%d", events),
				Title: fmt.Sprintf("%d events an append, 64 writers", events),
				Unit:  report.Events,
			},
			group: "append", systems: appendingSystems(naives...),
			measure: appending(load.Append{Writers: 64, Events: events}),
		})
	}
	return work
}

func limits() []workload {
	w := workload{
		Workload: report.Workload{
			Name: "copy", Title: "no store but its limit: raw COPY BINARY into Leftfold's events table, one connection; the name says how many events a batch has", Unit: report.Events,
		},
		group: "copy", measure: copying,
	}
	for _, batch := range []int{50, 200, 1000, 10_000} {
		w.systems = append(w.systems, system.System{Name: fmt.Sprintf("copy-%d", batch), Pool: batch})
	}
	return []workload{w}
}

func processes() []workload {
	var work []workload
	for _, writers := range []int{64, 1} {
		systems := []system.System{ours, naives[0], naive32, prototype}
		if writers == 1 {
			systems = []system.System{ours, naive32, prototype}
		}
		work = append(work, workload{
			Workload: report.Workload{
				Name:  fmt.Sprintf("processes/4x%d", writers),
				Title: fmt.Sprintf("1 event an append, 4 processes, writers in each %d; pools are per process", writers),
				Unit:  report.Appends,
			},
			group: "processes", systems: systems,
			measure: appendingInProcesses(4, load.Append{Writers: writers, Events: 1}),
		})
	}
	return work
}

func features() []workload {
	feature := func(name, title string, l load.Append, systems ...system.System) workload {
		l.Writers, l.Events = 64, 1
		return workload{
			Workload: report.Workload{Name: "features/" + name, Title: title, Unit: report.Appends},
			group:    "features", systems: systems, measure: appending(l),
		}
	}
	slow := feature("conditional-peer", "the same by go-crablet's AppendIf; appends that end after the window count",
		load.Append{Conditional: true}, system.Crablet)
	slow.once = true
	return []workload{
		feature("plain", "64 writers, for comparison with the next", load.Append{}, slices.Concat([]system.System{ours, system.Silent}, naives, []system.System{prototype})...),
		feature("tagged", "three tags on each event", load.Append{Tagged: true}, ours, prototype),
		feature("conditional", "three tags, and the condition that no event after the last read carries two of them", load.Append{Conditional: true}, ours, prototype),
		feature("command-ids", "each append under a command id, which makes a repeat harmless", load.Append{Commands: true}, ours),
		slow,
	}
}

func loads() []workload {
	var work []workload
	for _, length := range []int{10, 100, 1000} {
		for _, readers := range []int{1, 16} {
			work = append(work, workload{
				Workload: report.Workload{
					Name:  fmt.Sprintf("load/events=%d/readers=%d", length, readers),
					Title: fmt.Sprintf("whole streams of %d events, drawn at random, readers %d", length, readers),
					Unit:  report.Loads,
				},
				group: "read", systems: withStreams(),
				measure: loading(length, readers),
			})
		}
	}
	return work
}

func replays() []workload {
	return []workload{{
		Workload: report.Workload{Name: "replay", Title: "the whole log from the beginning, one reader", Unit: report.Events},
		group:    "read", systems: append(all(naive32), system.System{Name: "psqlcopy"}),
		measure: replaying,
	}, {
		Workload: report.Workload{Name: "replay/decoded", Title: "the same, and each event decoded into a Go value by eventstore/codec (encoding/json, or jsonv2 where the name says so)", Unit: report.Events},
		group:    "read", systems: []system.System{renamed(ours, " (one loop)"), renamed(ours, " (all cores)"), renamed(ours, " (jsonv2, all cores)"), {Name: "json-alone"}, {Name: "jsonv2-alone"}},
		measure: replayingDecoded,
	}}
}

// renamed is the same system in a row of its own.
func renamed(s system.System, suffix string) system.System {
	s.Name += suffix
	return s
}

func loss() []workload {
	return []workload{{
		Workload: report.Workload{Name: "loss", Title: "16 writers and one live reader"},
		group:    "loss", once: true, systems: appendingSystems(naive32), measure: losing,
	}}
}

func wakeUp() []workload {
	return []workload{{
		Workload: report.Workload{Name: "wakeup", Title: "an append to an idle store, from its start until another process that waits has read the event", Unit: report.Probes},
		group:    "wakeup", systems: []system.System{ours}, measure: waking,
	}}
}

func growth(o options) []workload {
	if o.growth == 0 {
		return nil
	}
	return []workload{{
		Workload: report.Workload{Name: "growth", Title: "fills the log", Unit: report.Events},
		group:    "growth", once: true, systems: []system.System{ours}, measure: growing,
	}}
}
