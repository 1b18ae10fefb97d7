package system

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	goespg "github.com/modernice/goes/backend/postgres"
	"github.com/modernice/goes/codec"
	"github.com/modernice/goes/event"
	"github.com/modernice/goes/event/query"
	"github.com/modernice/goes/projection"
	"github.com/modernice/goes/projection/schedule"
)

// Goes is github.com/modernice/goes with its PostgreSQL event store. Streams are UUIDs,
// made of our stream's name.
var Goes = System{
	Name:    "goes",
	Module:  "github.com/modernice/goes",
	Table:   "events",
	About:   "EventStore.Insert / Query; live reader: schedule.Periodically with a Progressor",
	Decodes: true,
	Create:  createByOpening(openGoes),
	Open:    openGoes,
}

const goesAggregate = "order"

type goes struct {
	pool  *pgxpool.Pool
	store *goespg.EventStore
}

func openGoes(ctx context.Context, url string, pool int) (Store, error) {
	connections, err := openPool(ctx, url, pool)
	if err != nil {
		return nil, err
	}
	types := codec.New()
	codec.Register[OrderPlaced](types, EventType)
	store := goespg.NewEventStore(types, goespg.Pool(connections))
	if err := store.Connect(ctx); err != nil {
		connections.Close()
		return nil, err
	}
	return goes{connections, store}, nil
}

func (g goes) Close() { g.pool.Close() }

func goesID(stream string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(stream)) }

func (g goes) Append(ctx context.Context, a Append) (int64, error) {
	id := goesID(a.Stream)
	events := make([]event.Event, len(a.Events))
	for i, e := range a.Events {
		events[i] = event.New[any](EventType, e.Order, event.Aggregate(id, goesAggregate, int(a.Expected)+i+1))
	}
	return 0, g.store.Insert(ctx, events...)
}

func (g goes) LoadStream(ctx context.Context, stream string) (int, error) {
	return g.drain(ctx, query.New(query.Aggregate(goesAggregate, goesID(stream)), query.SortByAggregate()))
}

func (g goes) ReadLog(ctx context.Context, _ int) (int, error) {
	return g.drain(ctx, query.New(query.SortByTime()))
}

func (g goes) drain(ctx context.Context, q event.Query) (read int, err error) {
	events, errs, err := g.store.Query(ctx, q)
	if err != nil {
		return 0, err
	}
	for events != nil || errs != nil {
		select {
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			read++
		case failed, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			return read, failed
		}
	}
	return read, nil
}

// goesReader is a projection: it remembers the time of the last event it was given.
type goesReader struct {
	*projection.Base
	*projection.Progressor
}

func (g goes) Subscribe(ctx context.Context, seen func(int64)) error {
	reader := goesReader{projection.New(), projection.NewProgressor()}
	var wrong error
	reader.RegisterEventHandler(EventType, func(e event.Event) {
		order, ok := e.Data().(OrderPlaced)
		if !ok {
			wrong = fmt.Errorf("an event with data of type %T", e.Data())
			return
		}
		seen(order.Ref)
	})
	periodic := schedule.Periodically(g.store, PollInterval, []string{EventType})
	errs, err := periodic.Subscribe(ctx, func(job projection.Job) error {
		if err := job.Apply(job, reader); err != nil {
			return err
		}
		return wrong
	})
	if err != nil {
		return err
	}
	var failed error
	for err := range errs { // closed once ctx has ended
		if endOf(ctx, err) != nil {
			failed = err
		}
	}
	return failed
}

var (
	_ StreamLoader = goes{}
	_ LogReader    = goes{}
	_ Subscriber   = goes{}
)
