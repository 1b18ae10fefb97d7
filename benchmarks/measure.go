package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/benchmarks/load"
	"github.com/leftfold/leftfold/benchmarks/report"
	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/jsonv2"
)

// measurement is what a workload does with one system in one round.
type measurement func(ctx context.Context, b *bench, s system.System) (*stats.Sample, error)

// withStore opens the system on a database for the time of a measurement, so that its
// connections are not there during others.
func withStore(ctx context.Context, s system.System, url string, measure func(system.Store) (*stats.Sample, error)) (*stats.Sample, error) {
	store, err := s.OpenAt(ctx, url)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return measure(store)
}

func appending(l load.Append) measurement {
	return func(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
		url, err := b.freshDatabase(ctx, s)
		if err != nil {
			return nil, err
		}
		return withStore(ctx, s, url, func(store system.Store) (*stats.Sample, error) {
			return b.appendTo(ctx, store, l)
		})
	}
}

func (b *bench) appendTo(ctx context.Context, store system.Store, l load.Append) (*stats.Sample, error) {
	l.Salt = b.salt()
	writers := load.NewWriters(store, l)
	if _, err := writers.Run(ctx, warmUp); err != nil {
		return nil, err
	}
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	return writers.Run(ctx, b.options.window)
}

// copying measures COPY; the pool of its systems is the size of a batch.
func copying(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
	name, err := b.server.Template(ctx, "copy", ours.Create)
	if err != nil {
		return nil, err
	}
	if name, err = b.server.NewDatabase(ctx, name); err != nil {
		return nil, err
	}
	b.fresh[s.Name] = name
	rows, err := load.OpenCopy(ctx, b.server.URL(name))
	if err != nil {
		return nil, err
	}
	defer rows.Close(ctx)
	warm, _, _ := b.seeds()
	if err := rows.Fill(ctx, load.Events(warm)); err != nil {
		return nil, err
	}
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	return rows.Run(ctx, s.Pool, b.options.window)
}

// readWindow is shorter than that of appends: a read does not depend on what the disk
// is doing, so its rate settles sooner.
func (b *bench) readWindow() time.Duration { return b.options.window * 2 / 5 }

func loading(length, readers int) measurement {
	return func(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
		url, err := b.fullDatabase(ctx, s)
		if err != nil {
			return nil, err
		}
		return withStore(ctx, s, url, func(store system.Store) (*stats.Sample, error) {
			streams, ok := store.(system.StreamLoader)
			if !ok {
				return nil, errors.New("it has no streams to load")
			}
			if _, err := load.Streams(ctx, streams, b.shapeOf(length), readers, warmUp); err != nil {
				return nil, err
			}
			return load.Streams(ctx, streams, b.shapeOf(length), readers, b.readWindow())
		})
	}
}

func (b *bench) shapeOf(length int) load.Shape {
	warm, short, long := b.seeds()
	switch length {
	case short.Length:
		return short
	case long.Length:
		return long
	default:
		return warm
	}
}

func (b *bench) logEvents() int {
	warm, short, long := b.seeds()
	return load.Events(warm, short, long)
}

func replaying(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
	if s.Name == "psqlcopy" {
		return replayingByPsql(ctx, b)
	}
	url, err := b.fullDatabase(ctx, s)
	if err != nil {
		return nil, err
	}
	return withStore(ctx, s, url, func(store system.Store) (*stats.Sample, error) {
		log, ok := store.(system.LogReader)
		if !ok {
			return nil, errors.New("its log cannot be read")
		}
		return load.Replay(b.logEvents(), b.readWindow(), func() (int, error) { return log.ReadLog(ctx, b.logEvents()) })
	})
}

// replayingByPsql copies Leftfold's own table.
func replayingByPsql(ctx context.Context, b *bench) (*stats.Sample, error) {
	url, err := b.fullDatabase(ctx, ours)
	if err != nil {
		return nil, err
	}
	sample := &stats.Sample{}
	for start := time.Now(); sample.Ops == 0 || time.Since(start) < b.readWindow(); {
		rows, took, err := load.PsqlCopy(ctx, url, ours.Table)
		if err != nil {
			return nil, err
		}
		if rows != b.logEvents() {
			return nil, fmt.Errorf("%s has %d rows instead of %d", ours.Table, rows, b.logEvents())
		}
		sample.Ops++
		sample.Events += int64(rows)
		sample.Elapsed += took
		sample.Latency.Record(took)
	}
	return sample, nil
}

func replayingDecoded(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
	decoders := 0
	if strings.HasSuffix(s.Name, "-alone") {
		payloads := system.NewPayloads(b.logEvents(), s.Name == "jsonv2-alone")
		return load.Replay(b.logEvents(), b.readWindow(), func() (int, error) { return payloads.Decode(runtime.GOMAXPROCS(0)) })
	}
	if strings.HasSuffix(s.Name, "all cores)") {
		decoders = runtime.GOMAXPROCS(0)
	}
	var options []codec.Option
	if strings.Contains(s.Name, "jsonv2") {
		options = append(options, codec.In(jsonv2.Format{}))
	}
	url, err := b.fullDatabase(ctx, ours)
	if err != nil {
		return nil, err
	}
	return withStore(ctx, s, url, func(store system.Store) (*stats.Sample, error) {
		return load.Replay(b.logEvents(), b.readWindow(), func() (int, error) {
			return store.(system.EventStore).ReadDecoded(ctx, decoders, options...)
		})
	})
}

// losing runs twice as long as a row of appends, 5 s by default: what is lost is lost in
// bursts.
func losing(ctx context.Context, b *bench, s system.System) (*stats.Sample, error) {
	url, err := b.freshDatabase(ctx, s)
	if err != nil {
		return nil, err
	}
	return withStore(ctx, s, url, func(store system.Store) (*stats.Sample, error) {
		warm, _, _ := b.seeds()
		l := load.Append{Writers: 16, Events: 1, Mixed: true, Salt: b.salt()}
		outcome, err := load.LiveReader(ctx, store, load.Events(warm), l, 2*b.options.window)
		if err != nil {
			return nil, err
		}
		b.results.Losses = append(b.results.Losses, report.Loss{System: s.Name, Loss: outcome})
		return nil, requireRows(ctx, url, s.Table, int64(load.Events(warm))+outcome.Committed)
	})
}

// requireRows is the control of the loss test: what a reader missed is in the table.
func requireRows(ctx context.Context, url, table string, want int64) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var rows int64
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
		return err
	}
	if rows != want {
		return fmt.Errorf("%s has %d rows after %d were committed", table, rows, want)
	}
	return nil
}

// growing measures appends and stream loads on a log that has grown, and in turn with it on one
// of the usual size: the machine may be another one after the minutes that it takes to fill a
// log. The rows are its own; the one it returns says how fast the log was filled.
func growing(ctx context.Context, b *bench, s system.System) (filled *stats.Sample, err error) {
	warm, _, _ := b.seeds()
	usual, err := b.copyOfWarm(ctx, s)
	if err != nil {
		return nil, err
	}
	grown, err := b.copyOfWarm(ctx, s)
	if err != nil {
		return nil, err
	}
	return withStore(ctx, s, grown, func(large system.Store) (*stats.Sample, error) {
		if filled, err = load.Fill(ctx, large, b.salt(), b.options.growth-load.Events(warm)); err != nil {
			return nil, err
		}
		return withStore(ctx, s, usual, func(small system.Store) (*stats.Sample, error) {
			for range b.options.rounds {
				for events, store := range map[int]system.Store{load.Events(warm): small, b.options.growth: large} {
					if err := b.measureAt(ctx, s, store, events); err != nil {
						return nil, err
					}
				}
			}
			return filled, nil
		})
	})
}

func (b *bench) measureAt(ctx context.Context, s system.System, store system.Store, events int) error {
	sample, err := b.appendTo(ctx, store, load.Append{Writers: 64, Events: 1})
	if err != nil {
		return err
	}
	b.results.Add(appendsAt(events), s.Name, sample)

	warm, _, _ := b.seeds()
	if sample, err = load.Streams(ctx, store.(system.StreamLoader), warm, 1, b.readWindow()); err != nil {
		return err
	}
	b.results.Add(loadsAt(events), s.Name, sample)
	return nil
}

func appendsAt(events int) report.Workload {
	return report.Workload{
		Name:  fmt.Sprintf("growth/append/log=%d", events),
		Title: fmt.Sprintf("1 event an append, 64 writers, on a log of %d events", events), Unit: report.Appends,
	}
}

func loadsAt(events int) report.Workload {
	return report.Workload{
		Name:  fmt.Sprintf("growth/load/log=%d", events),
		Title: fmt.Sprintf("whole streams, one reader, on a log of %d events", events), Unit: report.Loads,
	}
}
