package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parsed(t *testing.T, file string) *goTest {
	t.Helper()
	events, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = events.Close() }()
	g := newGoTest(time.Minute)
	require.NoError(t, g.parse(events))
	return g
}

func TestPassedAndSkippedTestsAreCountedWithTheirReason(t *testing.T) {
	t.Parallel()
	g := parsed(t, "testdata/passing.jsonl")
	assert.Equal(t, counts{
		passed:  4, // a test, its two subtests, an example
		skipped: []skip{{"good.TestNeedsAServer", "no Postgres on this machine"}},
	}, g.counts)
	assert.Empty(t, g.failed)
	assert.Empty(t, g.output, "output of ended tests is kept in memory")
}

func TestEveryWayToFailIsCountedAndShown(t *testing.T) {
	t.Parallel()
	g := parsed(t, "testdata/failing.jsonl")
	assert.Equal(t, 3, g.counts.failed, "a failed test, a panic, a package that does not build")
	shown := strings.Join(g.failed, "")
	assert.Contains(t, shown, "2-1 is 3")
	assert.Contains(t, shown, "assignment to entry in nil map")
	assert.Contains(t, shown, "undefined: undefined")
	assert.NotContains(t, shown, "TestDivides", "a test that passed is shown")
}

func TestATestThatNeverEndedHasFailed(t *testing.T) {
	t.Parallel()
	g := newGoTest(time.Minute)
	require.NoError(t, g.parse(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestHangs","Output":"=== RUN   TestHangs\n"}
{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: test timed out after 1s\n"}
{"Action":"fail","Package":"p","Elapsed":1.01}`)))
	assert.Equal(t, 1, g.counts.failed)
	assert.Contains(t, strings.Join(g.failed, ""), "timed out")
}

func TestOnlyPackagesWithATortureRunWithoutRace(t *testing.T) {
	t.Parallel()
	found, err := packagesWithTortures(fstest.MapFS{
		"adapters/sqlite/kill_test.go":   {Data: []byte("package sqlite_test\n\nfunc TestTortureKill(t *testing.T) {}\n")},
		"adapters/memory/memory_test.go": {Data: []byte("package memory_test\n\n// see TestTortureKill\nfunc TestStore(t *testing.T) {}\n")},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"./adapters/sqlite"}, found)
}

func TestARunPassesOnlyIfEverythingRanAndPassed(t *testing.T) {
	t.Parallel()
	fine := outcome{name: "fine"}
	oneSkip := counts{passed: 1, skipped: []skip{{"TestX", "why"}}}
	for _, c := range []struct {
		name         string
		report       report
		easy, strict bool
	}{
		{"all ran", report{stages: []outcome{fine}, tests: counts{passed: 1}}, true, true},
		{"a stage failed", report{stages: []outcome{fine, {err: io.ErrUnexpectedEOF}}}, false, false},
		{"a stage could not run", report{stages: []outcome{{err: missing("no gcc")}, fine}}, false, false},
		{"a test failed", report{stages: []outcome{fine}, tests: counts{failed: 1}}, false, false},
		{"a test was skipped", report{stages: []outcome{fine}, tests: oneSkip}, true, false},
	} {
		assert.Equal(t, c.easy, c.report.passed(false), c.name)
		assert.Equal(t, c.strict, c.report.passed(true), c.name+", strictly")
	}
}

func Example_table() {
	r := report{
		stages: []outcome{
			{name: "go vet", took: 1300 * time.Millisecond},
			{name: "tests", took: 90 * time.Second, detail: "1 passed", err: errors.New("tests failed")},
			{name: "a C compiler", err: missing("no apt-get")},
		},
		tests: counts{passed: 12, failed: 1, skipped: []skip{{"adapters/postgres.TestStore", "no server"}}},
	}
	var out strings.Builder
	r.print(&out)
	for line := range strings.Lines(out.String()) {
		fmt.Println(strings.TrimRight(line, " \n"))
	}
	// Output:
	// STAGE                        RESULT   TIME
	// go vet                       ran      1.3s
	// tests                        FAILED   1m30s  tests failed; 1 passed
	// a C compiler                 not run  0s     no apt-get
	// adapters/postgres.TestStore  not run         no server
	//
	// 12 passed, 1 failed, 1 skipped
}

func TestATimeoutEndsTheStageAndSaysSo(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(logs, 0o755))
	hangs := stage{"hangs", 10 * time.Millisecond, func(ctx context.Context, _ io.Writer) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}}
	assert.ErrorContains(t, hangs.do(t.Context(), io.Discard).err, "took more than 10ms")
}

func TestAFailedStageShowsTheEndOfItsLog(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(logs, 0o755))
	fails := stage{"go vet", time.Minute, func(_ context.Context, log io.Writer) (string, error) {
		for n := range 1000 {
			_, _ = fmt.Fprintln(log, "line", n)
		}
		return "", errors.New("exit status 1")
	}}
	var out strings.Builder
	require.ErrorContains(t, fails.do(t.Context(), &out).err, "exit status 1")
	assert.Contains(t, out.String(), "the last 100 lines of bin/verify/go-vet.log")
	assert.Contains(t, out.String(), "line 999")
	assert.NotContains(t, out.String(), "line 899\n")
}

func TestWhatRunsBesideTheOthersIsWaitedForAndShown(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(logs, 0o755))
	stages := []stage{
		{"fails", time.Minute, func(context.Context, io.Writer) (string, error) { return "", &findings{"it failed", "because"} }},
		{"runs", time.Minute, func(context.Context, io.Writer) (string, error) { return "well", nil }},
	}
	wait := beside(t.Context(), stages)
	var shown strings.Builder
	all := wait(&shown)
	require.Len(t, all, 2)
	require.EqualError(t, all[0].err, "it failed")
	assert.Equal(t, "well", all[1].detail)
	assert.Equal(t, "because\n", shown.String())
}
