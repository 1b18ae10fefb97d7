package postgres

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// readLog fixes the end of the read in one statement. Events up to there are all committed
// and never change, so the pages may come from later snapshots.
func (r reader) readLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	if err := query.Validate(); err != nil {
		return nil, err
	}
	read := logRead{sql: r.sql, query: query}
	if err := r.on(ctx, func(on session) error { return read.start(ctx, on) }); err != nil {
		return nil, err
	}
	next := func(behind place) (p page, err error) {
		err = r.on(ctx, func(on session) error {
			p, err = read.page(ctx, on, behind.position, pageEvents)
			return err
		})
		return p, err
	}
	return eventstore.NewLogRead(read.facts, r.paged(read.first, query.Limit, next)), nil
}

// logRead is a read of the log while it is being set up.
type logRead struct {
	sql     *statements
	query   eventstore.LogQuery
	through eventstore.Position // where the events end, limit or not
	first   page
	facts   eventstore.LogRead
}

// start fixes the end of the read and fetches its first page, from one server.
func (r *logRead) start(ctx context.Context, on session) error {
	if err := r.fix(ctx, on); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if r.query.After > r.facts.Head {
		return fmt.Errorf("read the log after position %d: %w: the head is %d", r.query.After, eventstore.ErrAheadOfLog, r.facts.Head)
	}
	var err error
	if r.first, err = r.page(ctx, on, r.query.After, pageEvents); err != nil {
		return err
	}
	return r.limit(ctx, on)
}

func (r *logRead) fix(ctx context.Context, on session) error {
	return on.one(ctx, r.sql.logStart, func(row [][]byte) error {
		token := readToken(row)
		r.facts.Identity, r.facts.Head = token.Identity, token.Position
		r.through = eventstore.Position(readInt8(row[3]))
		r.facts.After = anchor(r.query.After, row[4])
		r.facts.Through = anchor(r.through, row[5])
		return nil
	}, position(r.query.After), position(r.query.Through))
}

func anchor(at eventstore.Position, id []byte) eventstore.Anchor {
	a := eventstore.Anchor{Position: at}
	copy(a.EventID[:], id)
	return a
}

// limit moves the end of a read that its limit cuts to the last event yielded: a checkpoint
// at the end must not pass by the rest.
func (r *logRead) limit(ctx context.Context, on session) error {
	left := r.query.Limit
	if left == 0 {
		return nil
	}
	for p := r.first; ; {
		if left <= len(p.events) {
			last := p.events[left-1]
			r.facts.Through = eventstore.Anchor{Position: last.Position, EventID: last.ID}
			return nil
		}
		if p.last {
			return nil
		}
		left -= len(p.events)
		var err error
		if p, err = r.page(ctx, on, p.reached.position, pageEvents); err != nil {
			return err
		}
	}
}

// page fetches the matching events after a position: through the tag index if every
// item of the query has a tag, else along the log.
func (r *logRead) page(ctx context.Context, on session, after eventstore.Position, most int) (p page, err error) {
	if after >= r.through {
		return page{last: true}, nil
	}
	if r.query.Limit > 0 {
		most = min(most, r.query.Limit)
	}
	in := span{after, r.through}
	types, some := typesOf(r.query.Query)
	switch {
	case r.query.Query.Tagged():
		p, err = r.taggedPage(ctx, on, in, most)
	case some:
		p, err = r.scan(ctx, on, r.sql.logTypes, in, most, r.query.Query.Matches, texts(types))
	case r.query.Query.MatchesAll():
		if p, err = r.scan(ctx, on, r.sql.logAll, in, most, nil); err == nil {
			err = checkGapFree(in, p)
		}
	default:
		p, err = r.scan(ctx, on, r.sql.logAll, in, pageEvents, r.query.Query.Matches)
	}
	if err != nil {
		return page{}, fmt.Errorf("read the log after position %d: %w", after, err)
	}
	return p, nil
}

// span is a range of the log: after < position <= through.
type span struct{ after, through eventstore.Position }

func (r *logRead) scan(ctx context.Context, on session, st statement, in span, most int, keep func(eventstore.EventData) bool, more ...[]byte) (page, error) {
	scan := newPageScan(most, keep)
	params := append([][]byte{position(in.after), position(in.through), bigint(int64(most))}, more...)
	if err := on.rows(ctx, st, scan.scan, params...); err != nil {
		return page{}, err
	}
	return scan.done(), nil
}

// typesOf returns the types that the query can match; false if it can match any type.
func typesOf(q eventstore.Query) (types []string, some bool) {
	for _, item := range q.Items {
		if len(item.Types) == 0 {
			return nil, false
		}
		types = append(types, item.Types...)
	}
	return types, len(types) > 0
}

// checkGapFree checks the promise that everything rests on, wherever the whole log is
// read: positions have no gap. It also finds a log that was rolled back under the read.
func checkGapFree(in span, p page) error {
	for n, e := range p.events {
		if want := in.after + 1 + eventstore.Position(n); e.Position != want {
			return fmt.Errorf("%w: there is no event at position %d, the next is at %d", eventstore.ErrDiverged, want, e.Position)
		}
	}
	if p.last && p.reached.position != in.through {
		return fmt.Errorf("%w: it had an event at position %d, and ends at %d now", eventstore.ErrDiverged, in.through, p.reached.position)
	}
	return nil
}
