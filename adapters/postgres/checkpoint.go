package postgres

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// found is what the sink knows of a generation.
type found struct {
	hash    string // of its definition; "": it was never opened
	follows bool   // it has a checkpoint of the source
	at      subscription.Checkpoint
}

func (s *Sink) look(ctx context.Context, on session, of projection.Generation, source eventstore.StoreID) (f found, err error) {
	_, err = on.row(ctx, s.db.sql.checkpoint, func(row [][]byte) error {
		f.hash, f.follows = string(row[7]), row[0] != nil
		if f.follows {
			f.at = s.shares(of, source).checkpoint(row)
		}
		return nil
	}, []byte(of.Name), bigint(int64(of.Version)), source[:])
	return f, err
}

// Checkpoint implements [projection.Checkpoints].
func (s *Sink) Checkpoint(ctx context.Context, of projection.Generation, source eventstore.StoreID) (subscription.Checkpoint, error) {
	var f found
	err := s.on(ctx, func(on session) (err error) {
		f, err = s.look(ctx, on, of, source)
		return err
	})
	if err == nil && f.hash != "" && !f.follows {
		err = fmt.Errorf("%w: %s does not follow store %s", eventstore.ErrForeignToken, of, source)
	}
	return f.at, err
}

// move runs a statement that makes the move, with the rows that it writes besides.
func (s *Sink) move(ctx context.Context, on session, st statement, of projection.Generation, m projection.Move, rows ...[]byte) error {
	if m.From.Source.Store != m.To.Source.Store || m.From.Segment != m.To.Segment {
		return subscription.ErrStale
	}
	moved, err := on.row(ctx, st, noColumns, append([][]byte{
		[]byte(of.Name), bigint(int64(of.Version)), m.To.Source.Store[:], int2(int(m.From.Segment.First)), int2(int(m.From.Segment.End)),
		int4(m.To.Source.Incarnation), position(m.To.Position()), m.To.Anchor.EventID[:], bigint(m.To.Fence), bigint(m.To.Parks),
		int4(m.From.Source.Incarnation), position(m.From.Position()), m.From.Anchor.EventID[:], bigint(m.From.Fence), bigint(m.From.Parks),
	}, rows...)...)
	if err == nil && !moved {
		err = subscription.ErrStale
	}
	return err
}
