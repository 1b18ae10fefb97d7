// Command verify is what make test runs: every check that a change must pass, on a
// machine that has Go, git and nothing else.
//
// It keeps going after a failure, so that one run tells everything, and ends with a
// table of what ran, what failed and what did not run and why. The exit code is 0 only
// if everything ran and passed. LEFTFOLD_TEST=all makes that strict: a test that skips
// itself has failed. The full output of each stage is in bin/verify.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	logs = "bin/verify"

	// golangci-lint is run by version and built by the go command, which caches it. It
	// is no tool of go.mod: its 200 modules are none of our users' business.
	golangciLint = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	passed, err := verify(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

// verify runs the stages, cheap ones first. What only reads the source runs beside the tests, which
// wait for servers half of the time.
func verify(ctx context.Context, out io.Writer) (passed bool, err error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return false, fmt.Errorf("run it from the root of the module: %w", err)
	}
	scratch, err := os.MkdirTemp("", "leftfold-verify-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return false, err
	}

	strict := os.Getenv("LEFTFOLD_TEST") == "all"
	demo := demo{dir: filepath.Join(scratch, "demo")}
	// The limits are for what hangs: machines differ by a factor of two in what they need.
	race, tortures := newGoTest(25*time.Minute), newGoTest(25*time.Minute)
	stages := []stage{
		{"gofmt", time.Minute, formatted},
		{"go.mod is tidy", 5 * time.Minute, command("go", "mod", "tidy", "-diff").run},
		{"a C compiler, for -race", 5 * time.Minute, cCompiler},
		{"Postgres, Redis, PgBouncer, curl", 10 * time.Minute, servers{scratch}.run},
		{"emulators of AWS, from npm", 10 * time.Minute, emulators},
		{"tests, with -race", 30 * time.Minute, race.withRace},
		{"tortures, without -race", 35 * time.Minute, tortures.torturesOnly},
		{"examples", 10 * time.Minute, examples{scratch}.run},
		{"demo", 5 * time.Minute, demo.first},
		{"demo, a second time", 5 * time.Minute, demo.again},
	}

	unhurried := []stage{ // without cgo, as the tortures: so all of them need one build of what is imported
		{"go vet", 30 * time.Minute, program{name: "nice", args: []string{"go", "vet", "./..."}, env: withoutCgo}.run},
		{"golangci-lint", 40 * time.Minute, program{name: "nice", args: []string{"go", "run", golangciLint, "run"}, env: withoutCgo}.run},
		{"benchmarks, a module of their own", 40 * time.Minute, program{name: "nice", args: []string{"go", "test", "-count=1", "./..."}, dir: "benchmarks", env: withoutCgo}.run},
	}

	var report report
	wait := beside(ctx, unhurried)
	for _, s := range stages {
		_, _ = fmt.Fprintf(out, "%s ...\n", s.name)
		report.stages = append(report.stages, s.do(ctx, out))
	}
	report.stages = append(report.stages, wait(out)...)
	report.tests.add(race.counts)
	report.tests.add(tortures.counts)
	report.print(out)
	return report.passed(strict), ctx.Err()
}
