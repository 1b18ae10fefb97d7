package report

import (
	"fmt"
	"time"
)

// Verdict is whether a goal was met.
type Verdict string

// The verdicts.
const (
	Pass        Verdict = "pass"
	Fail        Verdict = "FAIL"
	NotMeasured Verdict = "-   " // the run left out what the goal compares
)

// Goal is a sentence about the results that can be judged.
type Goal struct {
	Text  string
	judge func(*Results) (value string, met, known bool)
}

// Judge returns the measured value and the verdict.
func (g Goal) Judge(r *Results) (string, Verdict) {
	value, met, known := g.judge(r)
	switch {
	case !known:
		return "not measured in this run", NotMeasured
	case met:
		return value, Pass
	default:
		return value, Fail
	}
}

// find picks a row of the results.
type find func(*Results) (*Row, bool)

func row(workload, system string) find {
	return func(r *Results) (*Row, bool) { return r.Row(workload, system) }
}

func bestNaive(workload string) find {
	return func(r *Results) (*Row, bool) { return r.BestNaive(workload) }
}

// atLeast is the goal that one row's rate is at least so many times that of another.
func atLeast(text string, factor float64, ours, other find) Goal {
	return Goal{Text: text, judge: func(r *Results) (string, bool, bool) {
		a, ok := ours(r)
		b, also := other(r)
		if !ok || !also || b.Rate().Median == 0 {
			return "", false, false
		}
		ratio := a.Rate().Median / b.Rate().Median
		return fmt.Sprintf("%.2fx: %.0f against %.0f of %s", ratio, a.Rate().Median, b.Rate().Median, b.System), ratio >= factor, true
	}}
}

// rateAtLeast is the goal that a row's rate is at least so high.
func rateAtLeast(text string, rate float64, ours find) Goal {
	return Goal{Text: text, judge: func(r *Results) (string, bool, bool) {
		a, ok := ours(r)
		if !ok {
			return "", false, false
		}
		return fmt.Sprintf("%.0f %s", a.Rate().Median, a.Workload.Unit), a.Rate().Median >= rate, true
	}}
}

// medianWithin is the goal that a row's p50 is at most so long.
func medianWithin(text string, limit time.Duration, ours find) Goal {
	return Goal{Text: text, judge: func(r *Results) (string, bool, bool) {
		a, ok := ours(r)
		if !ok {
			return "", false, false
		}
		p50 := a.Quantile(0.5).Median
		return milliseconds(p50) + " ms", p50 <= float64(limit), true
	}}
}

// lowerP99 is the goal that a row's p99 is below that of another.
func lowerP99(text string, ours, other find) Goal {
	return Goal{Text: text, judge: func(r *Results) (string, bool, bool) {
		a, ok := ours(r)
		b, also := other(r)
		if !ok || !also {
			return "", false, false
		}
		mine, theirs := a.Quantile(0.99).Median, b.Quantile(0.99).Median
		return fmt.Sprintf("%s ms against %s ms of %s", milliseconds(mine), milliseconds(theirs), b.System), mine < theirs, true
	}}
}

// aheadOfPeers is the goal that no peer is faster.
func aheadOfPeers(text, workload string) Goal {
	return atLeast(text, 1, row(workload, Ours), func(r *Results) (*Row, bool) { return r.BestPeer(workload) })
}

// losesNothing is the goal that the live reader missed no event and got none twice.
func losesNothing(text string) Goal {
	return Goal{Text: text, judge: func(r *Results) (string, bool, bool) {
		for _, l := range r.Losses {
			if l.System == Ours {
				return fmt.Sprintf("%d committed, %d missed, %d twice, %d out of order", l.Committed, l.Missed, l.Duplicated, l.OutOfOrder),
					l.Missed+l.Duplicated+l.OutOfOrder == 0, true
			}
		}
		return "", false, false
	}}
}

// Goals are what Leftfold wants of itself, with the names of the workloads in the plan.
func Goals() []Goal {
	goals := []Goal{
		losesNothing("a live reader misses nothing, gets nothing twice and all in order"),
		atLeast("1 writer: at least 0.8x naive", 0.8, row("append/writers=1", Ours), bestNaive("append/writers=1")),
		atLeast("8 writers: at least 1.5x naive", 1.5, row("append/writers=8", Ours), bestNaive("append/writers=8")),
		atLeast("64 writers: at least 2.7x naive", 2.7, row("append/writers=64", Ours), bestNaive("append/writers=64")),
		atLeast("256 writers: at least 3.5x naive", 3.5, row("append/writers=256", Ours), bestNaive("append/writers=256")),
		atLeast("4 processes of 64 writers: at least 3.5x naive", 3.5, row("processes/4x64", Ours), bestNaive("processes/4x64")),
		lowerP99("4 processes of 64 writers: lower p99 than naive", row("processes/4x64", Ours), bestNaive("processes/4x64")),
		atLeast("64 writers: at least 70 % of raw COPY in batches of 50", 0.7, row("append/writers=64", Ours), row("copy", "copy-50")),
		atLeast("64 writers, 10 events an append: at least 80 % of raw COPY in batches of 10,000", 0.8, row("batch/events=10", Ours), row("copy", "copy-10000")),
		atLeast("notifications cost at most 12 % of the rate of appends", 0.88, row("features/plain", Ours), row("features/plain", "leftfold (no notify)")),
		atLeast("three tags an event: at least 0.65x untagged", 0.65, row("features/tagged", Ours), row("features/plain", Ours)),
		atLeast("conditional appends: at least 1.2x unconditional naive", 1.2, row("features/conditional", Ours), bestNaive("features/plain")),
	}
	for _, writers := range []int{8, 64, 256} {
		goals = append(goals, aheadOfPeers(fmt.Sprintf("%d writers: ahead of every peer", writers), fmt.Sprintf("append/writers=%d", writers)))
	}
	for _, length := range []int{10, 100, 1000} {
		for _, readers := range []int{1, 16} {
			name := fmt.Sprintf("load/events=%d/readers=%d", length, readers)
			goals = append(goals, aheadOfPeers(fmt.Sprintf("streams of %d events, readers %d: ahead of every peer", length, readers), name))
		}
	}
	return append(goals,
		aheadOfPeers("whole log: ahead of every peer", "replay"),
		atLeast("whole log, undecoded: at least 90 % of psql \\copy", 0.9, row("replay", Ours), row("replay", "psqlcopy")),
		rateAtLeast("whole log, decoded into Go values on both cores: at least 500,000 events/s", 500_000, row("replay/decoded", Ours+" (all cores)")),
		rateAtLeast("the same with the json/v2 codec package: at least 800,000 events/s", 800_000, row("replay/decoded", Ours+" (jsonv2, all cores)")),
		atLeast("a log of 10,000,000 events: appends at least 0.8x those on 100,000", 0.8, row("growth/append/log=10000000", Ours), row("growth/append/log=100000", Ours)),
		atLeast("a log of 10,000,000 events: loads of streams at least 0.8x those on 100,000", 0.8, row("growth/load/log=10000000", Ours), row("growth/load/log=100000", Ours)),
		medianWithin("a stream of 100 events: p50 within 0.25 ms", 250*time.Microsecond, row("load/events=100/readers=1", Ours)),
		medianWithin("wake-up in another process: p50 within 2 ms", 2*time.Millisecond, row("wakeup", Ours)),
	)
}
