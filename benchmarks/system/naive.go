package system

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
)

//go:embed naive.sql
var naiveSchema string

// Naive is the reference that everything else is compared with: a bigserial, one prepared
// INSERT in its implicit transaction, and the unique constraint as version check. It is
// the least that an append to PostgreSQL can cost without giving up durability, and it is
// unsafe to read live; see naive.sql.
func Naive(pool int) System {
	return System{
		Name:   fmt.Sprintf("naive-%d", pool),
		Table:  "events",
		About:  fmt.Sprintf("bigserial, one implicit-transaction prepared INSERT, pool of %d; reads by position > cursor, pages of 1000", pool),
		Pool:   pool,
		Create: func(ctx context.Context, url string) error { return execScript(ctx, url, naiveSchema) },
		Open: func(ctx context.Context, url string, pool int) (Store, error) {
			connections, err := openPool(ctx, url, pool)
			return naive{connections}, err
		},
	}
}

type naive struct{ pool *pgxpool.Pool }

func (n naive) Close() { n.pool.Close() }

const (
	naiveInsert = `INSERT INTO events (version, event_id, stream_id, type, metadata, data)
		VALUES ($1, $2, $3, $4, $5, $6) RETURNING position`
	naiveInsertMany = `INSERT INTO events (version, event_id, stream_id, type, metadata, data)
		SELECT $1 + n, id, $2, $3, $4, data FROM unnest($5::uuid[], $6::bytea[]) WITH ORDINALITY e(id, data, n) ORDER BY n`
	naiveColumns = `position, version, recorded_at, event_id, stream_id, type, metadata, data`
	naiveStream  = `SELECT ` + naiveColumns + ` FROM events WHERE stream_id = $1 ORDER BY version`
	naivePage    = `SELECT ` + naiveColumns + ` FROM events WHERE position > $1 ORDER BY position LIMIT 1000`
)

func (n naive) Append(ctx context.Context, a Append) (int64, error) {
	if len(a.Events) == 1 {
		var position int64
		err := n.pool.QueryRow(ctx, naiveInsert, a.Expected+1, eventstore.NewEventID(), a.Stream, EventType, Metadata, a.Events[0].Data).Scan(&position)
		return position, err
	}
	ids := make([][16]byte, len(a.Events))
	data := make([][]byte, len(a.Events))
	for i, event := range a.Events {
		ids[i], data[i] = eventstore.NewEventID(), event.Data
	}
	_, err := n.pool.Exec(ctx, naiveInsertMany, a.Expected, a.Stream, EventType, Metadata, ids, data)
	return 0, err
}

// naiveEvent is what its reader makes of a row.
type naiveEvent struct {
	position, version int64
	recordedAt        time.Time
	id                [16]byte
	stream, eventType string
	metadata, data    []byte
}

// each calls seen with every event of the result.
func (n naive) each(ctx context.Context, sql string, arg any, seen func(naiveEvent) error) (events int, err error) {
	rows, err := n.pool.Query(ctx, sql, arg)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e naiveEvent
		if err := rows.Scan(&e.position, &e.version, &e.recordedAt, &e.id, &e.stream, &e.eventType, &e.metadata, &e.data); err != nil {
			return events, err
		}
		if err := seen(e); err != nil {
			return events, err
		}
		events++
	}
	return events, rows.Err()
}

func (n naive) LoadStream(ctx context.Context, stream string) (int, error) {
	return n.each(ctx, naiveStream, stream, func(naiveEvent) error { return nil })
}

func (n naive) ReadLog(ctx context.Context, events int) (int, error) {
	cursor, read := int64(0), 0
	for read < events {
		found, err := n.each(ctx, naivePage, cursor, func(e naiveEvent) error {
			cursor = e.position
			return nil
		})
		if err != nil || found == 0 {
			return read, err
		}
		read += found
	}
	return read, nil
}

func (n naive) Subscribe(ctx context.Context, seen func(int64)) error {
	cursor := int64(0)
	return poll(ctx, func() (int, error) {
		return n.each(ctx, naivePage, cursor, func(e naiveEvent) error {
			cursor = e.position
			ref, err := RefOf(e.data)
			if err == nil {
				seen(ref)
			}
			return err
		})
	})
}

var (
	_ StreamLoader = naive{}
	_ LogReader    = naive{}
	_ Subscriber   = naive{}
)
