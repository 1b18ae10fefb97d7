package system

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rodolfodpk/go-crablet/pkg/dcb"

	"github.com/leftfold/leftfold/eventstore"
)

// Crablet is github.com/rodolfodpk/go-crablet. It has no streams: a tag stands for one.
// Its Append checks nothing; AppendIf is used where a workload asks for a condition.
var Crablet = System{
	Name:      "crablet",
	Module:    crabletModule,
	Table:     "events",
	About:     "Append (no version check; AppendIf for conditions) / Query by one tag / QueryStream; live reader: QueryStream after a cursor",
	Unchecked: true,
	Create: func(ctx context.Context, url string) error {
		schema, err := moduleFile(ctx, crabletModule, "docker-entrypoint-initdb.d/schema.sql")
		if err != nil {
			return err
		}
		// Its first statements create the database, by commands of psql.
		_, tables, _ := strings.Cut(schema, `\c crablet;`)
		return execScript(ctx, url, tables)
	},
	Open: openCrablet,
}

const crabletModule = "github.com/rodolfodpk/go-crablet"

type crablet struct {
	pool  *pgxpool.Pool
	store dcb.EventStore
}

func openCrablet(ctx context.Context, url string, pool int) (Store, error) {
	connections, err := openPool(ctx, url, pool)
	if err != nil {
		return nil, err
	}
	store, err := dcb.NewEventStore(ctx, connections)
	if err != nil {
		connections.Close()
		return nil, err
	}
	return crablet{connections, store}, nil
}

func (c crablet) Close() { c.pool.Close() }

func (c crablet) Append(ctx context.Context, a Append) (int64, error) {
	tags := crabletTags(a.Tags)
	if len(tags) == 0 {
		tags = dcb.NewTags("stream", a.Stream)
	}
	events := make([]dcb.InputEvent, len(a.Events))
	for i, e := range a.Events {
		events[i] = dcb.NewInputEvent(EventType, tags, e.Data)
	}
	if len(a.OnlyIfNone) == 0 {
		return 0, c.store.Append(ctx, events)
	}
	// With the type, which is every event's: without one its SQL fails on a JSON null.
	return 0, c.store.AppendIf(ctx, events, dcb.NewAppendCondition(dcb.NewQuery(crabletTags(a.OnlyIfNone), EventType)))
}

func crabletTags(tags []eventstore.Tag) []dcb.Tag {
	all := make([]dcb.Tag, len(tags))
	for i, tag := range tags {
		all[i] = dcb.NewTag(tag.Key(), tag.Value())
	}
	return all
}

func (c crablet) LoadStream(ctx context.Context, stream string) (int, error) {
	events, err := c.store.Query(ctx, dcb.NewQuery(dcb.NewTags("stream", stream)), nil)
	return len(events), err
}

func (c crablet) ReadLog(ctx context.Context, _ int) (read int, err error) {
	events, err := c.store.QueryStream(ctx, dcb.NewQueryAll(), nil)
	if err != nil {
		return 0, err
	}
	for range events {
		read++
	}
	return read, ctx.Err()
}

func (c crablet) Subscribe(ctx context.Context, seen func(int64)) error {
	var after *dcb.Cursor
	return poll(ctx, func() (found int, err error) {
		events, err := c.store.QueryStream(ctx, dcb.NewQueryAll(), after)
		if err != nil {
			return 0, err
		}
		for event := range events {
			ref, err := RefOf(event.Data)
			if err != nil {
				return found, err
			}
			seen(ref)
			after = &dcb.Cursor{TransactionID: event.TransactionID, Position: event.Position}
			found++
		}
		return found, nil
	})
}

var (
	_ StreamLoader = crablet{}
	_ LogReader    = crablet{}
	_ Subscriber   = crablet{}
)
