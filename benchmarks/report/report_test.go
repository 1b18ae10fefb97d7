package report

import (
	"bytes"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leftfold/leftfold/benchmarks/load"
	"github.com/leftfold/leftfold/benchmarks/stats"
)

var atOne = Workload{Name: "append/writers=1", Title: "one writer", Unit: Appends}

func sample(ops int64, latency time.Duration) *stats.Sample {
	s := &stats.Sample{Ops: ops, Events: 10 * ops, Elapsed: time.Second}
	s.Latency.Record(latency)
	return s
}

func TestRatesAreMediansInTheUnitOfTheWorkload(t *testing.T) {
	var r Results
	for _, ops := range []int64{300, 100, 200} {
		r.Add(atOne, Ours, sample(ops, time.Millisecond))
		r.Add(Workload{Name: "batch", Unit: Events}, Ours, sample(ops, time.Millisecond))
	}
	row, ok := r.Row(atOne.Name, Ours)
	assert.True(t, ok)
	assert.Equal(t, stats.Spread{Median: 200, Min: 100, Max: 300}, row.Rate())
	row, _ = r.Row("batch", Ours)
	assert.Equal(t, stats.Spread{Median: 2000, Min: 1000, Max: 3000}, row.Rate())
	_, ok = r.Row("batch", "goes")
	assert.False(t, ok)
}

func TestTheBestOfTheReferenceAndOfThePeersAreFound(t *testing.T) {
	var r Results
	for system, ops := range map[string]int64{Ours: 900, "naive-8": 100, "naive-64": 300, "goes": 200, "watermill": 250, "psqlcopy": 950, "copy-50": 990, Prototype: 980} {
		r.Add(atOne, system, sample(ops, time.Millisecond))
	}
	naive, _ := r.BestNaive(atOne.Name)
	assert.Equal(t, "naive-64", naive.System)
	peer, _ := r.BestPeer(atOne.Name)
	assert.Equal(t, "watermill", peer.System)
	_, ok := r.BestPeer("replay")
	assert.False(t, ok)
}

func TestGoals(t *testing.T) {
	var r Results
	r.Add(atOne, Ours, sample(80, time.Millisecond))
	r.Add(atOne, "naive-32", sample(100, 2*time.Millisecond))
	ours, naive := row(atOne.Name, Ours), bestNaive(atOne.Name)
	nobody := row("replay", Ours)
	for _, c := range []struct {
		name string
		goal Goal
		want Verdict
	}{
		{"a ratio reached", atLeast("", 0.8, ours, naive), Pass},
		{"a ratio missed", atLeast("", 0.81, ours, naive), Fail},
		{"a ratio to what was not measured", atLeast("", 0.8, ours, nobody), NotMeasured},
		{"a rate reached", rateAtLeast("", 80, ours), Pass},
		{"a rate missed", rateAtLeast("", 81, ours), Fail},
		{"a rate that was not measured", rateAtLeast("", 81, nobody), NotMeasured},
		{"a latency kept", medianWithin("", 1100*time.Microsecond, ours), Pass},
		{"a latency exceeded", medianWithin("", 900*time.Microsecond, ours), Fail},
		{"a latency that was not measured", medianWithin("", time.Second, nobody), NotMeasured},
		{"a lower p99", lowerP99("", ours, naive), Pass},
		{"a higher p99", lowerP99("", naive, ours), Fail},
		{"a p99 that was not measured", lowerP99("", ours, nobody), NotMeasured},
		{"no peer to be ahead of", aheadOfPeers("", atOne.Name), NotMeasured},
		{"no loss test", losesNothing(""), NotMeasured},
	} {
		_, verdict := c.goal.Judge(&r)
		assert.Equal(t, c.want, verdict, c.name)
	}
	for loss, want := range map[load.Loss]Verdict{
		{Committed: 9}:                Pass,
		{Committed: 9, Missed: 1}:     Fail,
		{Committed: 9, Duplicated: 1}: Fail,
		{Committed: 9, OutOfOrder: 1}: Fail,
	} {
		r.Losses = []Loss{{System: "goes", Loss: load.Loss{Missed: 5}}, {System: Ours, Loss: loss}}
		_, verdict := losesNothing("").Judge(&r)
		assert.Equal(t, want, verdict, loss)
	}
}

func TestTheTextNamesEveryRowLossAndFailure(t *testing.T) {
	var r Results
	r.Add(atOne, Ours, sample(150, time.Millisecond))
	r.Add(atOne, "naive-32", sample(100, time.Millisecond))
	r.Losses = []Loss{{System: "goes", Loss: load.Loss{Committed: 200, Missed: 50}}}
	r.Fail(atOne.Name, "chronicle", errors.New("connection refused"))
	var text bytes.Buffer
	r.WriteText(&text, Goals())
	for _, want := range []string{
		`append/writers=1: one writer`,
		`leftfold +150 +150 +150 +1\.50x +1\.0\d +1\.0\d`,
		`goes +200 +50 +25\.00 % +0 +0`,
		`append/writers=1 chronicle: connection refused`,
		`pass  1 writer: at least 0\.8x naive +1\.50x: 150 against 100 of naive-32`,
		`-     whole log: ahead of every peer +not measured in this run`,
	} {
		assert.Regexp(t, want, text.String())
	}
}

func TestTheTextComparesWithThePrototypeWhereItWasMeasured(t *testing.T) {
	var r Results
	r.Add(atOne, Ours, sample(150, time.Millisecond))
	r.Add(atOne, "naive-32", sample(100, time.Millisecond))
	var text bytes.Buffer
	r.WriteText(&text, nil)
	assert.NotContains(t, text.String(), "prototype")

	r.Add(atOne, Prototype, sample(200, time.Millisecond))
	r.Add(Workload{Name: "features/tagged", Unit: Appends}, Prototype, sample(200, time.Millisecond))
	r.Add(Workload{Name: "features/plain", Unit: Appends}, "naive-8", sample(50, time.Millisecond))
	r.WriteText(&text, nil)
	assert.Regexp(t, `1 writer +0\.75x +1\.50x +2\.00x`, text.String())
	assert.Regexp(t, `three tags an event; naive has none +- +- +4\.00x`, text.String())
	assert.NotContains(t, text.String(), "conditional appends")
}

func TestEverySampleIsALineThatBenchstatReads(t *testing.T) {
	var r Results
	r.Add(atOne, Ours, sample(150, time.Millisecond))
	r.Add(atOne, Ours, sample(160, time.Millisecond))
	r.Add(Workload{Name: "replay/decoded", Unit: Events}, "leftfold (all cores)", sample(1, time.Millisecond))
	r.Losses = []Loss{{System: Ours, Loss: load.Loss{Committed: 9}}}
	var text bytes.Buffer
	r.WriteBench(&text, "a cpu")
	lines := regexp.MustCompile(`(?m)^Benchmark\S+ \t\d+(\t\S+ \S+)+$`).FindAllString(text.String(), -1)
	assert.Len(t, lines, 4)
	assert.Contains(t, text.String(), "BenchmarkReplay/decoded/system=leftfold_all_cores ")
	assert.Contains(t, text.String(), "cpu: a cpu\n")
}
