package system

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallgren/eventsourcing"
	"github.com/hallgren/eventsourcing/aggregate"
	"github.com/hallgren/eventsourcing/core"
	hallgrensql "github.com/hallgren/eventsourcing/eventstore/sql"
)

// Hallgren is github.com/hallgren/eventsourcing with its SQL event store,
// database/sql over pgx. Its Save takes no context.
var Hallgren = System{
	Name:   "hallgren",
	Module: "github.com/hallgren/eventsourcing",
	Table:  "events",
	About:  "sql.Postgres.Save / Get / All over database/sql with pgx; live reader: NewProjection(All(0)).Run",
	Create: createByOpening(openHallgren),
	Open:   openHallgren,
}

type hallgren struct {
	db    *sql.DB
	store *hallgrensql.Postgres
}

func openHallgren(_ context.Context, url string, pool int) (Store, error) {
	db, err := openDB(url, pool)
	if err != nil {
		return nil, err
	}
	store, err := hallgrensql.NewPostgres(db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return hallgren{db, store}, nil
}

func (h hallgren) Close() { _ = h.db.Close() }

// hallgrenOrder is the aggregate that its projections know our event by.
type hallgrenOrder struct{ aggregate.Root }

func (o *hallgrenOrder) Transition(eventsourcing.Event) {}

func (o *hallgrenOrder) Register(register aggregate.RegisterFunc) { register(&OrderPlaced{}) }

const (
	hallgrenType   = "hallgrenOrder" // projections find the aggregate by its Go name
	hallgrenReason = "OrderPlaced"   // and the event
)

func (h hallgren) Append(_ context.Context, a Append) (int64, error) {
	events := make([]core.Event, len(a.Events))
	for i, event := range a.Events {
		events[i] = core.Event{
			AggregateID: a.Stream, AggregateType: hallgrenType, Version: core.Version(a.Expected) + core.Version(i) + 1,
			Timestamp: time.Now().UTC(), Reason: hallgrenReason, Data: event.Data, Metadata: Metadata,
		}
	}
	err := h.store.Save(events)
	return int64(events[len(events)-1].GlobalVersion), err
}

func (h hallgren) LoadStream(ctx context.Context, stream string) (int, error) {
	events, err := h.store.Get(ctx, stream, hallgrenType, 0)
	if err != nil {
		return 0, err
	}
	return hallgrenDrain(events)
}

func (h hallgren) ReadLog(context.Context, int) (int, error) {
	events, err := h.store.All(0)()
	if err != nil {
		return 0, err
	}
	return hallgrenDrain(events)
}

func hallgrenDrain(events core.Iterator) (read int, err error) {
	defer events.Close()
	for events.Next() {
		if _, err := events.Value(); err != nil {
			return read, err
		}
		read++
	}
	return read, nil
}

func (h hallgren) Subscribe(ctx context.Context, seen func(int64)) error {
	aggregate.Register(&hallgrenOrder{})
	projection := eventsourcing.NewProjection(h.store.All(0), func(event eventsourcing.Event) error {
		order, ok := event.Data().(*OrderPlaced)
		if !ok {
			return errors.New("an event of another type")
		}
		seen(order.Ref)
		return nil
	})
	return endOf(ctx, projection.Run(ctx, PollInterval))
}

var (
	_ StreamLoader = hallgren{}
	_ LogReader    = hallgren{}
	_ Subscriber   = hallgren{}
)
