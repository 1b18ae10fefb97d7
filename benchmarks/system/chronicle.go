package system

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/DeluxeOwl/chronicle/event"
	"github.com/DeluxeOwl/chronicle/eventlog"
	"github.com/DeluxeOwl/chronicle/version"
)

// Chronicle is github.com/DeluxeOwl/chronicle at the level of its event log, which hands
// out bytes. It has no metadata.
var Chronicle = System{
	Name:   "chronicle",
	Module: "github.com/DeluxeOwl/chronicle",
	Table:  "chronicle_events",
	About:  "eventlog.Postgres.AppendEvents / ReadEvents / ReadAllEvents over database/sql with pgx; live reader: AsyncProjectionRunner",
	Create: createByOpening(openChronicle),
	Open:   openChronicle,
}

type chronicle struct {
	db  *sql.DB
	log *eventlog.Postgres
}

func openChronicle(_ context.Context, url string, pool int) (Store, error) {
	db, err := openDB(url, pool)
	if err != nil {
		return nil, err
	}
	log, err := eventlog.NewPostgres(db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return chronicle{db, log}, nil
}

func (c chronicle) Close() { _ = c.db.Close() }

func (c chronicle) Append(ctx context.Context, a Append) (int64, error) {
	events := make(event.RawEvents, len(a.Events))
	for i, e := range a.Events {
		events[i] = event.NewRaw(EventType, e.Data)
	}
	_, err := c.log.AppendEvents(ctx, event.LogID(a.Stream), version.CheckExact(a.Expected), events)
	return 0, err
}

func (c chronicle) LoadStream(ctx context.Context, stream string) (read int, err error) {
	for _, err := range c.log.ReadEvents(ctx, event.LogID(stream), version.SelectFromBeginning) {
		if err != nil {
			return read, err
		}
		read++
	}
	return read, nil
}

func (c chronicle) ReadLog(ctx context.Context, _ int) (read int, err error) {
	for _, err := range c.log.ReadAllEvents(ctx, version.Selector{From: 1}) {
		if err != nil {
			return read, err
		}
		read++
	}
	return read, nil
}

// chronicleReader is a projection whose checkpoint is in memory.
type chronicleReader struct {
	seen func(int64)

	mu         sync.Mutex
	checkpoint version.Version
}

func (r *chronicleReader) MatchesEvent(string) bool { return true }

func (r *chronicleReader) Handle(_ context.Context, record *event.GlobalRecord) error {
	ref, err := RefOf(record.Data())
	if err == nil {
		r.seen(ref)
	}
	return err
}

func (r *chronicleReader) GetCheckpoint(context.Context, string) (version.Version, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checkpoint, nil
}

func (r *chronicleReader) SaveCheckpoint(_ context.Context, _ string, v version.Version) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checkpoint = v
	return nil
}

func (c chronicle) Subscribe(ctx context.Context, seen func(int64)) error {
	reader := &chronicleReader{seen: seen}
	runner, err := event.NewAsyncProjectionRunner(c.log, reader, reader, "benchmark",
		event.WithPollInterval(PollInterval), event.WithSlogHandler(nil))
	if err != nil {
		return err
	}
	return endOf(ctx, runner.Run(ctx))
}

var (
	_ StreamLoader = chronicle{}
	_ LogReader    = chronicle{}
	_ Subscriber   = chronicle{}
)
