package system

import (
	"context"
	"errors"
	"fmt"
	"io"

	aneshaslib "github.com/aneshas/eventstore"
	"gorm.io/gorm/logger"
)

// Aneshas is github.com/aneshas/eventstore, which works through GORM.
var Aneshas = System{
	Name:    "aneshas",
	Module:  "github.com/aneshas/eventstore",
	Table:   "event",
	About:   "AppendStream / ReadStream / SubscribeAll through GORM; log in batches of 5000, live reader in batches of 1000",
	Decodes: true,
	Create:  createByOpening(openAneshas),
	Open:    openAneshas,
}

type aneshas struct{ store *aneshaslib.EventStore }

func openAneshas(_ context.Context, url string, pool int) (Store, error) {
	store, err := aneshaslib.New(aneshaslib.NewJSONEncoder(OrderPlaced{}), aneshaslib.WithPostgresDB(url))
	if err != nil {
		return nil, err
	}
	store.DB.Logger = logger.Discard // it would print each query slower than 200 ms
	db, err := store.DB.DB()
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	db.SetMaxOpenConns(pool)
	db.SetMaxIdleConns(pool)
	return aneshas{store}, nil
}

func (a aneshas) Close() { _ = a.store.Close() }

func (a aneshas) Append(ctx context.Context, p Append) (int64, error) {
	events := make([]aneshaslib.EventToStore, len(p.Events))
	for i, e := range p.Events {
		events[i] = aneshaslib.EventToStore{Event: e.Order, Meta: MetadataMap}
	}
	return 0, a.store.AppendStream(ctx, p.Stream, int(p.Expected), events)
}

func (a aneshas) LoadStream(ctx context.Context, stream string) (int, error) {
	events, err := a.store.ReadStream(ctx, stream)
	return len(events), err
}

// ReadLog stops after so many events. The library's own ReadAll stops when SubscribeAll
// says that it has caught up, which may be before all that it has read is handed out.
func (a aneshas) ReadLog(ctx context.Context, events int) (read int, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err = a.subscribe(ctx, []aneshaslib.SubAllOpt{aneshaslib.WithBatchSize(5000), aneshaslib.WithPollInterval(1)}, func(aneshaslib.StoredEvent) error {
		if read++; read == events {
			stop()
		}
		return nil
	})
	return read, err
}

func (a aneshas) Subscribe(ctx context.Context, seen func(int64)) error {
	return a.subscribe(ctx, []aneshaslib.SubAllOpt{aneshaslib.WithBatchSize(1000), aneshaslib.WithPollInterval(PollInterval)}, func(event aneshaslib.StoredEvent) error {
		order, ok := event.Event.(OrderPlaced)
		if !ok {
			return fmt.Errorf("an event of type %T", event.Event)
		}
		seen(order.Ref)
		return nil
	})
}

// subscribe hands out events until ctx ends.
func (a aneshas) subscribe(ctx context.Context, options []aneshaslib.SubAllOpt, handle func(aneshaslib.StoredEvent) error) error {
	subscription, err := a.store.SubscribeAll(ctx, options...)
	if err != nil {
		return err
	}
	for {
		select {
		case event := <-subscription.EventData:
			if err := handle(event); err != nil {
				return err
			}
		case err := <-subscription.Err:
			if !errors.Is(err, io.EOF) { // EOF: there are no more for now
				return endOf(ctx, err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

var (
	_ StreamLoader = aneshas{}
	_ LogReader    = aneshas{}
	_ Subscriber   = aneshas{}
)
