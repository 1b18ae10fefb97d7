package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
)

const naiveSchema = `
CREATE SCHEMA naive;
CREATE TABLE naive.events (
	position  bigserial PRIMARY KEY,
	stream_id text NOT NULL,
	version   bigint NOT NULL,
	data      bytea NOT NULL,
	UNIQUE (stream_id, version)
)`

// naive is the event store that everybody writes first: positions from a sequence, a
// transaction for each append. Writers of one stream wait for each other, so its versions
// are right; positions become visible in the order of the commits.
type naive struct{ pool *pgxpool.Pool }

func writeToTheNaiveStore(ctx context.Context, url, name string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	return hostileProcess(ctx, pool, &naive{pool: pool}, name)
}

func (n *naive) Append(ctx context.Context, request eventstore.AppendRequest) (receipt eventstore.Receipt, err error) {
	err = pgx.BeginFunc(ctx, n.pool, func(tx pgx.Tx) error {
		receipt, err = n.In(tx).Append(ctx, request)
		return err
	})
	return receipt, err
}

func (n *naive) In(tx pgx.Tx) eventstore.Store { return &naiveIn{n, tx} }

type naiveIn struct {
	*naive
	tx pgx.Tx
}

func (n *naiveIn) Append(ctx context.Context, request eventstore.AppendRequest) (receipt eventstore.Receipt, err error) {
	for _, w := range request.Writes {
		if _, err := n.tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext($1))", w.Stream); err != nil {
			return receipt, err
		}
		var version eventstore.Version
		if err := n.tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM naive.events WHERE stream_id = $1", w.Stream).Scan(&version); err != nil {
			return receipt, err
		}
		if expected, named := w.Expected.Version(); named && expected != version {
			return receipt, &eventstore.VersionConflictError{Stream: w.Stream, Expected: w.Expected, Actual: version}
		}
		for _, e := range w.Events {
			version++
			if err := n.tx.QueryRow(ctx, "INSERT INTO naive.events (stream_id, version, data) VALUES ($1, $2, $3) RETURNING position",
				w.Stream, version, e.Data).Scan(&receipt.Token.Position); err != nil {
				return receipt, err
			}
		}
	}
	return receipt, nil
}

func (n *naive) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	head, err := n.Head(ctx)
	if err != nil {
		return nil, err
	}
	through := head.Position
	if query.Through > 0 {
		through = min(through, query.Through)
	}
	limit := query.Limit
	if limit == 0 {
		limit = 1 << 30
	}
	rows, err := n.pool.Query(ctx, "SELECT position FROM naive.events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3", query.After, through, limit)
	if err != nil {
		return nil, err
	}
	positions, err := pgx.CollectRows(rows, pgx.RowTo[eventstore.Position])
	if err != nil {
		return nil, err
	}
	if len(positions) == query.Limit && query.Limit > 0 {
		through = positions[len(positions)-1]
	}
	events := func(yield func(eventstore.Recorded, error) bool) {
		for _, at := range positions {
			if !yield(eventstore.Recorded{Position: at}, nil) {
				return
			}
		}
	}
	facts := eventstore.LogRead{
		Identity: head.Identity, Head: head.Position,
		After: eventstore.Anchor{Position: query.After}, Through: eventstore.Anchor{Position: max(through, query.After)},
	}
	return eventstore.NewLogRead(facts, events), nil
}

func (n *naive) Head(ctx context.Context) (eventstore.Token, error) {
	token := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}}
	err := n.pool.QueryRow(ctx, "SELECT coalesce(max(position), 0) FROM naive.events").Scan(&token.Position)
	return token, err
}

var errNaive = errors.New("the naive store cannot do this")

func (n *naive) LookupCommand(context.Context, eventstore.Command) (eventstore.Receipt, bool, error) {
	return eventstore.Receipt{}, false, errNaive
}

func (n *naive) ReadStream(context.Context, eventstore.StreamID, eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		yield(eventstore.Recorded{}, fmt.Errorf("read a stream: %w", errNaive))
	}
}
