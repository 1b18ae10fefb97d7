package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// goTest runs go test and keeps count from its event stream (go doc test2json).
type goTest struct {
	limit  time.Duration // of one package's tests; then go test prints every goroutine's stack
	counts counts

	output   map[string][]string // of what has not ended yet, by package and test
	failed   []string            // output of what failed
	failedIn map[string]bool     // by package
	took     map[string]time.Duration
}

// counts are of tests, subtests included.
type counts struct {
	passed, failed int
	skipped        []skip
}

type skip struct{ test, reason string }

func (c *counts) add(more counts) {
	c.passed += more.passed
	c.failed += more.failed
	c.skipped = append(c.skipped, more.skipped...)
}

func newGoTest(limit time.Duration) *goTest {
	return &goTest{limit: limit, output: map[string][]string{}, failedIn: map[string]bool{}, took: map[string]time.Duration{}}
}

// withRace runs all tests but the tortures and the mutants: what they look for is lost events, not data races.
func (g *goTest) withRace(ctx context.Context, log io.Writer) (string, error) {
	if compiles(ctx, log) != nil {
		detail, err := g.run(ctx, log, "CGO_ENABLED=0", "-skip", torturePattern, "./...")
		return detail, cmp.Or(err, errors.New("ran without -race, which needs a C compiler"))
	}
	args := []string{"-race"}
	for _, translated := range notInstrumented {
		args = append(args, "-gcflags="+translated+"=-race=false")
	}
	return g.run(ctx, log, "CGO_ENABLED=1", append(args, "-skip", torturePattern, "./...")...)
}

// notInstrumented is C that was translated to Go: SQLite and what it calls. Its memory is not Go's, so the
// race detector learns nothing from it, and takes four fifths of the time of every test on SQLite to do so.
var notInstrumented = []string{"modernc.org/sqlite/lib", "modernc.org/libc", "modernc.org/libc/..."}

// torturesOnly runs the tests named TestTorture… and TestMutant…, as a machine without cgo would.
func (g *goTest) torturesOnly(ctx context.Context, log io.Writer) (string, error) {
	packages, err := packagesWithTortures(os.DirFS("."))
	if err != nil {
		return "", err
	}
	if len(packages) == 0 {
		return "no package has one", nil
	}
	return g.run(ctx, log, "CGO_ENABLED=0", append([]string{"-run", torturePattern}, packages...)...)
}

// packagesAtOnce is one more than there are processors: the largest packages wait for servers half of the time.
func packagesAtOnce() string { return strconv.Itoa(runtime.NumCPU() + 1) }

const torturePattern = "^Test(Torture|Mutant)"

var tortureFunction = regexp.MustCompile(`(?m)^func Test(Torture|Mutant)\w*\(`)

func packagesWithTortures(tree fs.FS) ([]string, error) {
	found := map[string]bool{}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := fs.ReadFile(tree, name)
		if tortureFunction.Match(source) {
			found["./"+path.Dir(name)] = true
		}
		return err
	})
	return slices.Sorted(maps.Keys(found)), err
}

// run ends in an error if a test failed or a package did not build. Vet has a stage of its own.
func (g *goTest) run(ctx context.Context, log io.Writer, env string, args ...string) (string, error) {
	args = append([]string{"test", "-json", "-count=1", "-vet=off", "-p", packagesAtOnce(), "-timeout", g.limit.String()}, args...)
	test := program{name: "go", args: args, env: []string{env}}
	events, into := io.Pipe()
	parsed := make(chan error, 1)
	go func() { parsed <- g.parse(io.TeeReader(events, log)) }()

	err := test.cmd(ctx, into, log).Run()
	_ = into.Close()
	if parseErr := <-parsed; parseErr != nil {
		return "", parseErr
	}
	if len(g.failed) > 0 {
		return g.summary(), &findings{"tests failed", strings.Join(g.failed, "\n")}
	}
	if err == nil && g.counts.passed == 0 {
		err = errors.New("no test ran")
	}
	return g.summary(), err
}

func (g *goTest) summary() string {
	words := fmt.Sprintf("%d passed, %d failed, %d skipped", g.counts.passed, g.counts.failed, len(g.counts.skipped))
	if len(g.took) == 0 {
		return words
	}
	slowest := slices.MaxFunc(slices.Collect(maps.Keys(g.took)), func(a, b string) int { return cmp.Compare(g.took[a], g.took[b]) })
	return fmt.Sprintf("%s; slowest: %s, %v", words, short(slowest), g.took[slowest].Round(time.Second))
}

// event is a line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output string

	Elapsed float64 // seconds
}

// parse reads the events to the end, so that go test never waits for us.
func (g *goTest) parse(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			g.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			_, _ = io.Copy(io.Discard, lines)
			return err
		}
	}
}

func (g *goTest) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		g.failed = append(g.failed, string(line)) // go test speaks plain text when it cannot even start
		return
	}
	name := cmp.Or(e.Package, e.ImportPath)
	if e.Test != "" {
		name += "." + e.Test
	}
	switch e.Action {
	case "output", "build-output":
		g.output[name] = append(g.output[name], e.Output)
		return
	case "build-fail":
		g.show(name)
	case "skip":
		if e.Test != "" { // not a package without test files
			g.counts.skipped = append(g.counts.skipped, skip{short(name), reason(g.output[name])})
		}
	case "fail":
		g.fail(e, name)
	case "pass":
		if e.Test != "" {
			g.counts.passed++
		}
	default:
		return
	}
	if e.Test == "" {
		g.took[e.Package] = time.Duration(e.Elapsed * float64(time.Second))
	}
	delete(g.output, name)
}

// fail counts a failed test. A package that failed without one (it did not build, or
// ended early) counts as one, and so do its tests that never ended.
func (g *goTest) fail(e event, name string) {
	if e.Test != "" {
		g.counts.failed++
		g.failedIn[e.Package] = true
		g.show(name)
		return
	}
	for _, test := range slices.Sorted(maps.Keys(g.output)) {
		if strings.HasPrefix(test, e.Package+".") {
			g.counts.failed++
			g.failedIn[e.Package] = true
			g.show(test)
			delete(g.output, test)
		}
	}
	if !g.failedIn[e.Package] {
		g.counts.failed++
		g.show(name)
	}
}

func (g *goTest) show(name string) {
	g.failed = append(g.failed, "--- FAIL: "+short(name)+"\n"+strings.Join(g.output[name], ""))
}

var sourceLine = regexp.MustCompile(`^\s+[\w.-]+\.go:\d+: (.*)`)

// reason finds the text that was given to t.Skip.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if match := sourceLine.FindStringSubmatch(line); match != nil {
			return strings.TrimSpace(match[1])
		}
	}
	return "no reason given"
}

// short is the name of a package or test as seen from the module.
func short(name string) string {
	const module = "github.com/leftfold/leftfold"
	return cmp.Or(strings.TrimPrefix(strings.TrimPrefix(name, module), "/"), "the root package")
}
