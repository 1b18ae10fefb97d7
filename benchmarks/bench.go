package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/benchmarks/load"
	"github.com/leftfold/leftfold/benchmarks/report"
	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
	"github.com/leftfold/leftfold/internal/testservers"
)

// settings make commits durable, keep checkpoints out of the measured windows and give
// Postgres the memory that a small production server has. The rest is as it comes.
var settings = map[string]string{
	"fsync":              "on",
	"synchronous_commit": "on",
	"shared_buffers":     "1GB",
	"max_wal_size":       "8GB",
	"min_wal_size":       "2GB",
	"max_connections":    "300",
	"checkpoint_timeout": "30min",
}

const (
	warmUp = 150 * time.Millisecond // connections are made and statements prepared
	pause  = 200 * time.Millisecond // between the checkpoint and the window
)

// bench is one run: a server, its databases and what was measured.
type bench struct {
	options options
	server  *testservers.Postgres
	admin   *pgx.Conn
	results report.Results

	round    int               // from 1
	full     map[string]string // databases with the seeds of reads, by system
	fresh    map[string]string // copies of the warm databases, by system, that belong to the group under way
	measured int
}

func start(ctx context.Context, o options) (*bench, error) {
	server, err := testservers.StartPostgres(ctx, testservers.PostgresOptions{Settings: settings})
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, server: server, full: map[string]string{}, fresh: map[string]string{}}
	if b.admin, err = pgx.Connect(ctx, server.URL("postgres")); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *bench) stop() {
	ctx := context.Background()
	if b.admin != nil {
		_ = b.admin.Close(ctx)
	}
	if err := b.server.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop postgres:", err)
	}
}

// measureAll goes through the plan once a round. A row that fails is noted and the run
// goes on: one peer's error must not cost the others' numbers.
func (b *bench) measureAll(ctx context.Context) error {
	work := plan(b.options)
	for b.round = 1; b.round <= b.options.rounds; b.round++ {
		for n, w := range work {
			for _, s := range w.systems {
				if b.options.selected(w, s) && (b.round == 1 || !w.once) {
					b.measure(ctx, w, s)
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			if n == len(work)-1 || work[n+1].group != w.group {
				if err := b.dropFresh(ctx); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) measure(ctx context.Context, w workload, s system.System) {
	progress := fmt.Sprintf("round %d/%d  %-28s %-22s", b.round, b.options.rounds, w.Name, s.Name)
	sample, err := w.measure(ctx, b, s)
	switch {
	case err != nil:
		b.results.Fail(w.Name, s.Name, err)
		fmt.Fprintf(os.Stderr, "%s FAILED: %v\n", progress, err)
	case sample != nil:
		row := b.results.Add(w.Workload, s.Name, sample)
		last := report.Row{Workload: row.Workload, Samples: []*stats.Sample{sample}}
		fmt.Fprintf(os.Stderr, "%s %9.0f %-10s p50 %v p99 %v\n", progress, last.Rate().Median, w.Unit,
			sample.Latency.Quantile(0.5).Round(time.Microsecond), sample.Latency.Quantile(0.99).Round(time.Microsecond))
	default:
		fmt.Fprintln(os.Stderr, progress, "done")
	}
}

// seeds are the streams that the databases hold before anything is measured.
func (b *bench) seeds() (warm load.Shape, short, long load.Shape) {
	scaled := func(n int) int { return max(int(float64(n)*b.options.scale), 2) }
	return load.Shape{Streams: scaled(1000), Length: 100}, load.Shape{Streams: scaled(1000), Length: 10}, load.Shape{Streams: scaled(390), Length: 1000}
}

// warmDatabase returns the name of a database with 100,000 events, for copying.
func (b *bench) warmDatabase(ctx context.Context, s system.System) (string, error) {
	return b.server.Template(ctx, s.Name, func(ctx context.Context, url string) error {
		if err := s.Create(ctx, url); err != nil {
			return err
		}
		warm, _, _ := b.seeds()
		return seed(ctx, s, url, warm)
	})
}

// fullDatabase returns the URL of a database with 500,000 events. Nobody writes to it.
func (b *bench) fullDatabase(ctx context.Context, s system.System) (string, error) {
	if url, ok := b.full[s.Name]; ok {
		return url, nil
	}
	url, err := b.copyOfWarm(ctx, s)
	if err != nil {
		return "", err
	}
	_, short, long := b.seeds()
	if err := seed(ctx, s, url, short, long); err != nil {
		return "", err
	}
	b.full[s.Name] = url
	return url, b.checkpoint(ctx)
}

// freshDatabase returns the URL of the system's copy of its warm database in this group
// and round. Rows of one group share it, so it grows from one to the next.
func (b *bench) freshDatabase(ctx context.Context, s system.System) (string, error) {
	if name, ok := b.fresh[s.Name]; ok {
		return b.server.URL(name), nil
	}
	template, err := b.warmDatabase(ctx, s)
	if err != nil {
		return "", err
	}
	name, err := b.server.NewDatabase(ctx, template)
	if err != nil {
		return "", err
	}
	b.fresh[s.Name] = name
	return b.server.URL(name), nil
}

func (b *bench) copyOfWarm(ctx context.Context, s system.System) (url string, err error) {
	template, err := b.warmDatabase(ctx, s)
	if err != nil {
		return "", err
	}
	name, err := b.server.NewDatabase(ctx, template)
	return b.server.URL(name), err
}

func (b *bench) dropFresh(ctx context.Context) error {
	for s, name := range b.fresh {
		if err := b.server.DropDatabase(ctx, name); err != nil {
			return err
		}
		delete(b.fresh, s)
	}
	return nil
}

// seed fills streams and lets Postgres know what it has, as autovacuum would have by the
// time that a log has grown so far.
func seed(ctx context.Context, s system.System, url string, shapes ...load.Shape) error {
	store, err := s.OpenAt(ctx, url)
	if err != nil {
		return err
	}
	defer store.Close()
	for _, shape := range shapes {
		if err := load.Seed(ctx, store, shape); err != nil {
			return err
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}

func (b *bench) checkpoint(ctx context.Context) error {
	_, err := b.admin.Exec(ctx, "CHECKPOINT")
	return err
}

// settle writes out what earlier rows have left behind.
func (b *bench) settle(ctx context.Context) error {
	if err := b.checkpoint(ctx); err != nil {
		return err
	}
	time.Sleep(pause)
	return nil
}

// salt is part of the names of streams, so that no two rows use the same.
func (b *bench) salt() string {
	b.measured++
	return fmt.Sprint("row ", b.measured)
}
