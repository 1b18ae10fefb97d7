package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/benchmarks/load"
	"github.com/leftfold/leftfold/benchmarks/report"
	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/internal/testservers"
)

// The measurements with several processes start this binary again.
func TestMain(m *testing.M) {
	if isChild() {
		if err := child(context.Background(), os.Stdin, os.Stdout); err != nil {
			_, _ = os.Stderr.WriteString("child: " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Peers run in the tests of package system; here it is the program that is tested.
func TestARunMeasuresEveryWorkloadAndWritesItsResults(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	out := t.TempDir()
	err := run(t.Context(), strings.Fields("-rounds 1 -for 20ms -scale 0.003 -growth 2000 -systems leftfold,naive-32,copy,psqlcopy,json-alone,jsonv2-alone,prototype -out "+out))
	if errors.Is(err, testservers.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	text := read(t, out, "results.txt")
	for _, w := range plan(options{}) {
		measuredByOthers := w.group == "growth" || w.Name == "features/conditional-peer" || w.Name == "loss"
		assert.True(t, measuredByOthers || strings.Contains(text, "\n"+w.Name+": "), w.Name)
	}
	for _, want := range []string{"growth/append/log=2000", "loss: 16 writers", "Goals", "fsync = on", "github.com/modernice/goes v"} {
		assert.Contains(t, text, want)
	}
	for _, c := range report.Calibrations() {
		const ratio = ` +(\d+\.\d\dx|-)` // none, where a system got nothing done in 20 ms
		assert.Regexp(t, `(?m)^  `+c.Text+ratio+ratio+ratio+`$`, text)
	}
	assert.NotContains(t, text, "Measurements that failed")
	assert.Contains(t, read(t, out, "results.svg"), "</svg>")
	assert.Contains(t, read(t, out, "results.bench.txt"), "BenchmarkProcesses/4x64/system=leftfold ")
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(text)
}

func TestALostEventOrAFailureOfOursFailsTheRun(t *testing.T) {
	assert.NoError(t, failed(&report.Results{}))
	assert.NoError(t, failed(&report.Results{Losses: []report.Loss{{System: "goes", Loss: load.Loss{Missed: 9}}}, Failures: []string{"append goes: no"}}))
	assert.Error(t, failed(&report.Results{Losses: []report.Loss{{System: report.Ours, Loss: load.Loss{Missed: 1}}}}))
	assert.Error(t, failed(&report.Results{Failures: []string{"append leftfold: no"}}))
}

func TestFlagsSelectWorkloadsAndSystems(t *testing.T) {
	o, err := parse(strings.Fields("-only append,read -systems naive,goes"))
	require.NoError(t, err)
	var chosen []string
	for _, w := range plan(o) {
		for _, s := range w.systems {
			if o.selected(w, s) && !slices.Contains(chosen, s.Name) {
				chosen = append(chosen, s.Name)
			}
		}
	}
	assert.ElementsMatch(t, []string{"naive-8", "naive-32", "naive-64", "goes"}, chosen)

	_, err = parse(strings.Fields("-only appends"))
	assert.ErrorContains(t, err, `no group of workloads "appends": there are append, copy`)
	_, err = parse(strings.Fields("-systems leftfold,gose"))
	assert.ErrorContains(t, err, `no system "gose"`)
}

// A goal about a workload that the plan does not have would never be judged.
func TestEveryGoalIsAboutAWorkloadOfThePlan(t *testing.T) {
	var r report.Results
	for _, w := range plan(options{}) {
		for _, s := range w.systems {
			r.Add(w.Workload, s.Name, sampleOfOne())
		}
	}
	for _, events := range []int{100_000, 10_000_000} { // the sizes of a run with -growth
		r.Add(appendsAt(events), report.Ours, sampleOfOne())
		r.Add(loadsAt(events), report.Ours, sampleOfOne())
	}
	r.Losses = []report.Loss{{System: report.Ours}}
	for _, goal := range report.Goals() {
		_, verdict := goal.Judge(&r)
		assert.NotEqual(t, report.NotMeasured, verdict, goal.Text)
	}
}

func TestThePrototypeIsMeasuredWhereverItIsComparedWith(t *testing.T) {
	for _, c := range report.Calibrations() {
		n := slices.IndexFunc(plan(options{}), func(w workload) bool { return w.Name == c.Workload })
		require.GreaterOrEqual(t, n, 0, c.Workload)
		assert.True(t, slices.ContainsFunc(plan(options{})[n].systems, named(report.Prototype)), c.Workload)
	}
}

func sampleOfOne() *stats.Sample { return &stats.Sample{Ops: 1, Events: 1, Elapsed: time.Second} }
