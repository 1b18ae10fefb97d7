// Command benchmarks measures Leftfold on PostgreSQL side by side with raw COPY, with the
// naive append that most programs start with, and with other Go event stores: one
// server, one run, interleaved rounds.
//
//	go run .                                everything, about 25 minutes on two cores
//	go run . -only append,loss -rounds 1    some groups of workloads
//	go run . -systems leftfold,naive,goes   some systems
//
// It starts a Postgres of its own and rewrites three files: results.txt with every
// number, the environment and a verdict on every goal, results.svg with the plots, and
// results.bench.txt with the raw samples for benchstat. Progress goes to stderr. The exit
// code is 1 if Leftfold's live reader lost an event or a measurement of Leftfold failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/leftfold/leftfold/benchmarks/report"
	"github.com/leftfold/leftfold/benchmarks/system"
)

func main() {
	if isChild() {
		if err := child(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	out     string
	rounds  int
	window  time.Duration
	only    []string // groups of workloads; empty: all
	systems []string // names; empty: all
	scale   float64
	growth  int
}

func parse(args []string) (options, error) {
	var o options
	var only, systems string
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.StringVar(&o.out, "out", ".", "the directory of the results")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each row is measured")
	flags.DurationVar(&o.window, "for", 2500*time.Millisecond, "how long a row is measured in each round")
	flags.StringVar(&only, "only", "", "groups of workloads, by comma: "+strings.Join(groups(plan(options{})), ","))
	flags.StringVar(&systems, "systems", "", "systems, by comma; naive is each naive-<pool>, copy each copy-<batch>")
	flags.Float64Var(&o.scale, "scale", 1, "part of the usual seeds: 100,000 events for appends, 500,000 for reads")
	flags.IntVar(&o.growth, "growth", 0, "also measure Leftfold at so many events; 10000000 takes minutes to fill")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.only, o.systems = list(only), list(systems)
	for _, group := range o.only {
		if !slices.Contains(groups(plan(o)), group) {
			return o, fmt.Errorf("no group of workloads %q: there are %s", group, strings.Join(groups(plan(o)), ", "))
		}
	}
	for _, name := range o.systems {
		if !slices.ContainsFunc(plan(o), func(w workload) bool { return slices.ContainsFunc(w.systems, named(name)) }) {
			return o, fmt.Errorf("no system %q", name)
		}
	}
	return o, nil
}

// named reports whether a name of the flags means the system: naive is each naive-<pool>.
func named(name string) func(system.System) bool {
	return func(s system.System) bool {
		return s.Name == name || strings.HasPrefix(s.Name, name+"-") || strings.HasPrefix(s.Name, name+" ")
	}
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// selected reports whether the flags ask for the workload under the system.
func (o options) selected(w workload, s system.System) bool {
	if len(o.only) > 0 && !slices.Contains(o.only, w.group) {
		return false
	}
	return len(o.systems) == 0 || slices.ContainsFunc(o.systems, func(name string) bool { return named(name)(s) })
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	began := time.Now()
	b, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer b.stop()
	if err := b.measureAll(ctx); err != nil {
		return err
	}
	environment, err := b.environment(ctx, began)
	if err != nil {
		return err
	}
	if err := write(o.out, environment, &b.results); err != nil {
		return err
	}
	return failed(&b.results)
}

// failed is the error of a run whose results are written but bad.
func failed(r *report.Results) error {
	for _, l := range r.Losses {
		if l.System == report.Ours && l.Missed > 0 {
			return fmt.Errorf("leftfold's live reader missed %d of %d events", l.Missed, l.Committed)
		}
	}
	for _, failure := range r.Failures {
		if strings.Contains(failure, " "+report.Ours) {
			return errors.New(failure)
		}
	}
	return nil
}
