package sqlite

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// ReadLog implements [eventstore.LogReader]. Identity, head, anchors and the first page
// come from one state of the file.
func (s *Store) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	return reader(s.file.read).log(ctx, query)
}

func (r reader) log(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	if err := query.Validate(); err != nil {
		return nil, err
	}
	read := logRead{query: query}
	if err := r(ctx, func(tx *transaction) error { return read.start(ctx, tx) }); err != nil {
		return nil, err
	}
	next := func(last eventstore.Recorded) (p page, err error) {
		err = r(ctx, func(tx *transaction) error {
			p, err = read.page(ctx, tx, last.Position)
			return err
		})
		return p, err
	}
	return eventstore.NewLogRead(read.facts, paged(read.first, query.Limit, next)), nil
}

// logRead is a read of the log while it is being set up.
type logRead struct {
	query   eventstore.LogQuery
	through eventstore.Position // where the events end, limit or not
	first   page
	facts   eventstore.LogRead
}

// start fixes the end of the read. Events never change, so later pages up to that end
// belong to the same state as the first.
func (r *logRead) start(ctx context.Context, tx *transaction) error {
	token, err := head(ctx, tx)
	if err != nil {
		return err
	}
	if r.query.After > token.Position {
		return fmt.Errorf("read the log after position %d: %w: the head is %d", r.query.After, eventstore.ErrAheadOfLog, token.Position)
	}
	r.facts.Identity, r.facts.Head = token.Identity, token.Position
	r.through = token.Position
	if r.query.Through != 0 {
		r.through = min(r.query.Through, r.through)
	}
	if r.first, err = r.page(ctx, tx, r.query.After); err != nil {
		return err
	}
	end, err := r.end(ctx, tx)
	if err != nil {
		return err
	}
	r.facts.After, r.facts.Through, err = anchors(ctx, tx, r.query.After, end)
	return err
}

// end returns the last position that the read covers. A limit that cuts the read moves
// it to the last event yielded: a checkpoint at the end must not pass by the rest.
func (r *logRead) end(ctx context.Context, tx *transaction) (eventstore.Position, error) {
	left := r.query.Limit
	if left == 0 {
		return r.through, nil
	}
	for p := r.first; ; {
		if left <= len(p.events) {
			return p.events[left-1].Position, nil
		}
		if p.last {
			return r.through, nil
		}
		left -= len(p.events)
		var err error
		if p, err = r.page(ctx, tx, p.events[len(p.events)-1].Position); err != nil {
			return 0, err
		}
	}
}

// anchors returns the events at two positions of the log; position 0 has none.
func anchors(ctx context.Context, tx *transaction, after, through eventstore.Position) (a, t eventstore.Anchor, err error) {
	rows, err := tx.query(ctx, anchorsSQL, int64(after), int64(through))
	if err != nil {
		return a, t, err
	}
	defer rows.Close() // rows.Err tells
	found := map[eventstore.Position]eventstore.Anchor{0: {}}
	for rows.Next() {
		var anchor eventstore.Anchor
		var id []byte
		if err := rows.Scan(&anchor.Position, &id); err != nil {
			return a, t, err
		}
		copy(anchor.EventID[:], id)
		found[anchor.Position] = anchor
	}
	return found[after], found[through], rows.Err()
}
