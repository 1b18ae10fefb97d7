package system

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	terraskyelib "github.com/terraskye/eventsourcing"
	terraskyebus "github.com/terraskye/eventsourcing/eventbus/postgres"
	terraskyepg "github.com/terraskye/eventsourcing/eventstore/postgres"
)

// Terraskye is github.com/terraskye/eventsourcing with the schema of its event store
// alone: its bus adds a NOTIFY trigger that slows down concurrent appends, and only the
// loss test needs the bus.
var Terraskye = System{
	Name:    "terraskye",
	Module:  "github.com/terraskye/eventsourcing",
	Table:   "events",
	About:   "EventStore.Save / LoadStream / LoadFromAll; the bus' NOTIFY trigger is installed by the live reader only: EventBus.Subscribe",
	Decodes: true,
	Create: func(ctx context.Context, url string) error {
		return execModuleFile(ctx, url, terraskyeModule, "eventstore/postgres/schema.sql")
	},
	Open: openTerraskye,
}

const terraskyeModule = "github.com/terraskye/eventsourcing"

// terraskyeOrder is our event with the methods that the library asks for.
type terraskyeOrder struct{ OrderPlaced }

func (o *terraskyeOrder) AggregateID() string { return o.OrderID }

func (o *terraskyeOrder) EventType() string { return EventType }

// registerTerraskyeOrder runs once: the library panics the second time.
var registerTerraskyeOrder = sync.OnceFunc(func() { terraskyelib.RegisterEvent(&terraskyeOrder{}) })

type terraskye struct {
	url   string
	pool  *pgxpool.Pool
	store terraskyelib.EventStore
}

func openTerraskye(ctx context.Context, url string, pool int) (Store, error) {
	registerTerraskyeOrder()
	connections, err := openPool(ctx, url, pool)
	if err != nil {
		return nil, err
	}
	return terraskye{url, connections, terraskyepg.NewEventStore(connections)}, nil
}

func (t terraskye) Close() { t.pool.Close() }

func (t terraskye) Append(ctx context.Context, a Append) (int64, error) {
	metadata := make(map[string]any, len(MetadataMap))
	for key, value := range MetadataMap {
		metadata[key] = value
	}
	events := make([]terraskyelib.Envelope, len(a.Events))
	for i, e := range a.Events {
		events[i] = terraskyelib.Envelope{
			EventID: uuid.New(), StreamID: a.Stream, Metadata: metadata,
			Event: &terraskyeOrder{e.Order}, OccurredAt: time.Now(),
		}
	}
	var expected terraskyelib.StreamState = terraskyelib.NoStream{}
	if a.Expected > 0 {
		expected = terraskyelib.Revision(a.Expected)
	}
	_, err := t.store.Save(ctx, events, expected)
	return 0, err
}

func (t terraskye) LoadStream(ctx context.Context, stream string) (int, error) {
	events, err := t.store.LoadStream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return terraskyeDrain(ctx, events)
}

func (t terraskye) ReadLog(ctx context.Context, _ int) (int, error) {
	events, err := t.store.LoadFromAll(ctx, terraskyelib.Revision(0))
	if err != nil {
		return 0, err
	}
	return terraskyeDrain(ctx, events)
}

func terraskyeDrain(ctx context.Context, events *terraskyelib.Iterator[*terraskyelib.Envelope]) (read int, err error) {
	for events.Next(ctx) {
		read++
	}
	return read, events.Err()
}

func (t terraskye) Subscribe(ctx context.Context, seen func(int64)) error {
	if err := execModuleFile(ctx, t.url, terraskyeModule, "eventbus/postgres/schema.sql"); err != nil {
		return err
	}
	bus := terraskyebus.NewEventBus(t.pool, PollInterval)
	handler := terraskyelib.NewEventHandlerFunc(func(_ context.Context, event terraskyelib.Event) error {
		order, ok := event.(*terraskyeOrder)
		if !ok {
			return fmt.Errorf("an event of type %T", event)
		}
		seen(order.Ref)
		return nil
	})
	if err := bus.Subscribe(ctx, "benchmark", handler); err != nil {
		return errors.Join(err, bus.Close())
	}
	var failed error
	for {
		select {
		case err := <-bus.Errors():
			if endOf(ctx, err) != nil {
				failed = err
			}
		case <-ctx.Done():
			return errors.Join(failed, bus.Close())
		}
	}
}

var (
	_ StreamLoader = terraskye{}
	_ LogReader    = terraskye{}
	_ Subscriber   = terraskye{}
)
