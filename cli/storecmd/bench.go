package storecmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
)

// bench is one run of the verb.
type bench struct {
	store  string
	form   cli.Output
	yes    bool
	runs   int
	during time.Duration
	events int

	writers, batches []int // of appends
}

const benchHelp = `Measures what a store does on this server, this disk and this network: appends of 1, 8 and 64 writers, one event and
a hundred at a time; reading a stream, reading the log, and one projection.

It measures beside your store, which it does not touch: on Postgres in a schema of its own in the same database, in
SQLite in a file of its own in the same directory. It makes it, and takes it away at the end, after Ctrl-C too. After
kill -9 it is left; its name was printed. The role needs the right to create a schema. Programs at work on the same
server are slowed down meanwhile.

A stream of Kinesis cannot be made and taken away like that: there it appends to the stream itself, of category
leftfold_bench, and these events stay in its log for ever. So it asks first, or wants --yes, and an indexer must be at
work.

Each writer appends to a stream of its own, expects its version, and waits for the answer; all are in this one process.
Events have a payload of 256 bytes and no command ids. Each figure is the median of several runs, which take turns. p50
and p99 are how long a call took: half of them, and 99 of 100, were not slower.`

func benchCommand() *cobra.Command {
	return (&bench{writers: []int{1, 8, 64}, batches: []int{1, 100}}).command()
}

func (b *bench) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure appends, reads and a projection",
		Long:  benchHelp,
		Example: `  leftfold bench --store postgres://localhost/shop
  leftfold bench --store sqlite:shop.db --runs 5 --for 3s -o json`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd) },
	}
	stores.Flag(cmd, &b.store)
	cli.YesFlag(cmd, &b.yes)
	cmd.Flags().IntVar(&b.runs, "runs", 3, "how often each is measured")
	cmd.Flags().DurationVar(&b.during, "for", time.Second, "how long appends and reads of a stream are measured in each run")
	cmd.Flags().IntVar(&b.events, "events", 50_000, "events in the log that is read and projected; at least 100")
	cli.OutputFlag(cmd, &b.form, cli.Table, cli.JSON)
	return cmd
}

func (b *bench) run(cmd *cobra.Command) (err error) {
	if b.runs < 1 || b.during <= 0 || b.events < eventsAStream {
		return cli.Misused(cmd, fmt.Errorf("--runs and --for must be positive, and --events at least %d", eventsAStream))
	}
	ctx := cmd.Context()
	at, err := b.open(cmd)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, at.leave(ctx))
	}()
	measured, err := b.measure(cmd, at)
	if err != nil {
		return err
	}
	return b.print(cmd.OutOrStdout(), at, measured)
}

// measure measures each load several times, in turns: what the machine does besides then falls on all of them.
func (b *bench) measure(cmd *cobra.Command, at *place) ([]measured, error) {
	ctx, l := cmd.Context(), &loads{place: at, during: b.during, events: b.events}
	steps := l.all(b.writers, b.batches)
	bar := cli.NewBar(cmd.ErrOrStderr(), "bench", int64(1+b.runs*len(steps)))
	err := l.fill(ctx)
	samples := make([][]sample, len(steps))
	for run := 0; run < b.runs && err == nil; run++ {
		for n, step := range steps {
			bar.Set(int64(1+run*len(steps)+n), step.name()+fmt.Sprintf(", run %d of %d", run+1, b.runs))
			var s sample
			if s, err = step.do(ctx); err != nil {
				err = fmt.Errorf("%s: %w", step.name(), err)
				break
			}
			samples[n] = append(samples[n], s)
		}
	}
	bar.Finish(err == nil)
	if err != nil {
		return nil, err
	}
	all := make([]measured, len(steps))
	for n, step := range steps {
		all[n] = medians(step.measured, samples[n])
	}
	return all, nil
}
