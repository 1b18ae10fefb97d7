package system

import (
	"context"
	"maps"

	"github.com/ThreeDotsLabs/watermill"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Watermill is github.com/ThreeDotsLabs/watermill-sql: a message log, not an event store.
// It has no streams to load and no versions to check, and is here because many Go
// programs keep their events in it.
var Watermill = System{
	Name:      "watermill",
	Module:    "github.com/ThreeDotsLabs/watermill-sql/v4",
	Table:     "watermill_orders",
	About:     "Publisher.Publish to one topic; reads by Subscriber.Subscribe, a message and an ack at a time, batches of 1000",
	Unchecked: true,
	Create: func(ctx context.Context, url string) error {
		pool, err := openPool(ctx, url, 1)
		if err != nil {
			return err
		}
		defer pool.Close()
		subscriber, err := newWatermillSubscriber(pool, "schema")
		if err != nil {
			return err
		}
		return subscriber.SubscribeInitialize(watermillTopic)
	},
	Open: func(ctx context.Context, url string, pool int) (Store, error) {
		connections, err := openPool(ctx, url, pool)
		if err != nil {
			return nil, err
		}
		publisher, err := watermillsql.NewPublisher(watermillsql.BeginnerFromPgx(connections),
			watermillsql.PublisherConfig{SchemaAdapter: watermillsql.DefaultPostgreSQLSchema{}}, watermill.NopLogger{})
		return watermillStore{connections, publisher}, err
	},
}

const watermillTopic = "orders"

type watermillStore struct {
	pool      *pgxpool.Pool
	publisher *watermillsql.Publisher
}

func newWatermillSubscriber(pool *pgxpool.Pool, group string) (*watermillsql.Subscriber, error) {
	return watermillsql.NewSubscriber(watermillsql.BeginnerFromPgx(pool), watermillsql.SubscriberConfig{
		ConsumerGroup:    group,
		PollInterval:     PollInterval,
		SchemaAdapter:    watermillsql.DefaultPostgreSQLSchema{SubscribeBatchSize: 1000},
		OffsetsAdapter:   watermillsql.DefaultPostgreSQLOffsetsAdapter{},
		InitializeSchema: true,
	}, watermill.NopLogger{})
}

func (w watermillStore) Close() { w.pool.Close() }

func (w watermillStore) Append(ctx context.Context, a Append) (int64, error) {
	messages := make([]*message.Message, len(a.Events))
	for i, e := range a.Events {
		m := message.NewMessageWithContext(ctx, watermill.NewUUID(), e.Data)
		m.Metadata = maps.Clone(MetadataMap)
		m.Metadata.Set("stream", a.Stream)
		messages[i] = m
	}
	return 0, w.publisher.Publish(watermillTopic, messages...)
}

func (w watermillStore) ReadLog(ctx context.Context, events int) (read int, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err = w.consume(ctx, func(*message.Message) error {
		if read++; read == events {
			stop()
		}
		return nil
	})
	return read, err
}

func (w watermillStore) Subscribe(ctx context.Context, seen func(int64)) error {
	return w.consume(ctx, func(m *message.Message) error {
		ref, err := RefOf(m.Payload)
		if err == nil {
			seen(ref)
		}
		return err
	})
}

// consume reads from the beginning, as a new consumer group, until ctx ends.
func (w watermillStore) consume(ctx context.Context, handle func(*message.Message) error) error {
	subscriber, err := newWatermillSubscriber(w.pool, watermill.NewShortUUID())
	if err != nil {
		return err
	}
	messages, err := subscriber.Subscribe(ctx, watermillTopic)
	if err != nil {
		return err
	}
	for m := range messages { // closed once ctx has ended
		if ctx.Err() != nil {
			m.Nack()
			continue
		}
		if err := handle(m); err != nil {
			return err
		}
		m.Ack()
	}
	return nil
}

var (
	_ LogReader  = watermillStore{}
	_ Subscriber = watermillStore{}
)
