package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/leftfold/leftfold/eventstore"
)

// readLog fixes the end of the read in one statement. Events up to there are all committed
// and never change, so the pages may come from later snapshots, and from other servers that
// prove that they have them too.
func (r reader) readLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	if err := query.Validate(); err != nil {
		return nil, err
	}
	read := logRead{sql: r.sql, query: endOfLimit(query)}
	if err := r.on(ctx, func(on session) error { return read.start(ctx, on) }); err != nil {
		return nil, err
	}
	next := func(ctx context.Context, from resume) (p page, err error) {
		err = r.on(ctx, func(on session) error {
			p, err = read.page(ctx, on, from)
			return err
		})
		return p, err
	}
	return eventstore.NewLogRead(read.facts, r.paged(ctx, read.first, read.query.Limit, next)), nil
}

// endOfLimit makes the limit of a read of all events the end of it: positions have no gaps.
func endOfLimit(q eventstore.LogQuery) eventstore.LogQuery {
	if q.Limit == 0 || !q.Query.MatchesAll() || q.After > math.MaxInt64-eventstore.Position(q.Limit) {
		return q
	}
	if end := q.After + eventstore.Position(q.Limit); q.Through == 0 || q.Through > end {
		q.Through = end
	}
	q.Limit = 0
	return q
}

// logRead is a read of the log while it is being set up.
type logRead struct {
	sql     *statements
	query   eventstore.LogQuery
	through eventstore.Anchor // where the events end, limit or not
	first   page
	facts   eventstore.LogRead
}

// start fixes the end of the read and fetches its first page, from one server.
func (r *logRead) start(ctx context.Context, on session) error {
	first := resume{place{position: r.query.After}, pageEvents}
	if !r.query.Query.Tagged() {
		if err := r.begin(ctx, on, first); err != nil {
			return err
		}
		return r.limit(ctx, on)
	}
	if err := r.fix(ctx, on); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if err := r.inLog(); err != nil {
		return err
	}
	var err error
	if r.first, err = r.page(ctx, on, first); err != nil {
		return err
	}
	return r.limit(ctx, on)
}

// fix fixes the end of the read.
func (r *logRead) fix(ctx context.Context, on session) error {
	return on.one(ctx, r.sql.logStart, r.fixed, position(r.query.After), position(r.query.Through))
}

// fixed takes the row that fixes the read.
func (r *logRead) fixed(row [][]byte) error {
	token := readToken(row)
	r.facts.Identity, r.facts.Head = token.Identity, token.Position
	r.facts.After = anchor(r.query.After, row[4])
	r.through = anchor(eventstore.Position(readInt8(row[3])), row[5])
	r.facts.Through = r.through
	return nil
}

// begin fixes the end of the read and fetches the first page along the log, by one statement.
func (r *logRead) begin(ctx context.Context, on session, from resume) error {
	scan := r.along(from)
	begun := false
	err := on.rows(ctx, r.sql.logBegin, func(row [][]byte) error {
		if row[1] != nil {
			return scan.scan(row)
		}
		begun = true
		const id = len(eventstore.StoreID{})
		return r.fixed([][]byte{row[9][:id], row[9][id:], row[0], row[2], row[8], row[3]})
	}, position(r.query.After), position(r.query.Through), bigint(int64(scan.limit)), texts(typesOf(r.query.Query)))
	if err == nil && !begun {
		err = fmt.Errorf("%w: %s", errNoRow, r.sql.logBegin.name)
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if err := r.inLog(); err != nil {
		return err
	}
	if from.position >= r.through.Position {
		r.first = page{last: true}
		return nil
	}
	scan.end.take(r.through.EventID[:])
	if r.first, err = r.scanned(scan); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// inLog refuses to begin behind the head.
func (r *logRead) inLog() error {
	if r.query.After > r.facts.Head {
		return fmt.Errorf("read the log after position %d: %w: the head is %d", r.query.After, eventstore.ErrAheadOfLog, r.facts.Head)
	}
	return nil
}

func anchor(at eventstore.Position, id []byte) eventstore.Anchor {
	a := eventstore.Anchor{Position: at}
	copy(a.EventID[:], id)
	return a
}

// limit moves the end of a read that its limit cuts to the last event yielded: a checkpoint
// at the end must not pass by the rest. It looks for that event through all pages of the
// limit but the first, which are then read once more: keeping them would take memory without
// bound.
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
		if p, err = r.page(ctx, on, p.next()); err != nil {
			return err
		}
	}
}

// page fetches the matching events after a position: through the tag index if every
// item of the query has a tag, else along the log.
func (r *logRead) page(ctx context.Context, on session, from resume) (p page, err error) {
	if from.position >= r.through.Position {
		return page{last: true}, nil
	}
	if r.query.Query.Tagged() {
		p, err = r.taggedPage(ctx, on, r.limited(from))
	} else {
		p, err = r.nextPage(ctx, on, from)
	}
	if err != nil {
		return page{}, fmt.Errorf("read the log after position %d: %w", from.position, err)
	}
	return p, nil
}

func (r *logRead) limited(from resume) resume {
	if r.query.Limit > 0 {
		from.rows = min(from.rows, r.query.Limit)
	}
	return from
}

// span is a range of the log: after < position <= through.
type span struct{ after, through eventstore.Position }

// nextPage fetches a page along the log.
func (r *logRead) nextPage(ctx context.Context, on session, from resume) (page, error) {
	scan := r.along(from)
	st, params := r.sql.logAll, [][]byte{position(from.position), position(r.through.Position), bigint(int64(scan.limit))}
	if types := typesOf(r.query.Query); len(types) > 0 {
		st, params = r.sql.logTypes, append(params, texts(types))
	}
	if err := on.rows(ctx, st, scan.scan, params...); err != nil {
		return page{}, err
	}
	return r.scanned(scan)
}

// along returns the scan of a page along the log. Of all rows, whatever is kept of them, it checks
// the promise that everything rests on: positions have no gap.
func (r *logRead) along(from resume) *pageScan {
	all, types := r.query.Query.MatchesAll(), typesOf(r.query.Query)
	if all || len(types) > 0 {
		from = r.limited(from)
	}
	scan := newPageScan(from)
	if !all {
		scan.keep = r.query.Query.Matches
	}
	if len(types) == 0 {
		scan.follows = gapFree
	}
	return scan
}

// scanned returns the page, if it is what it claims to be.
func (r *logRead) scanned(scan *pageScan) (page, error) {
	p := scan.done()
	err := scan.end.check(r.through, p.last)
	if err == nil && scan.follows != nil && p.last && p.reached.position != r.through.Position {
		err = noEvent(p.reached.position+1, r.through.Position)
	}
	return p, err
}

func gapFree(before, row place) error {
	if want := before.position + 1; row.position != want {
		return noEvent(want, row.position)
	}
	return nil
}

func noEvent(missing, next eventstore.Position) error {
	return fmt.Errorf("%w: there is no event at position %d, the next is at %d", eventstore.ErrDiverged, missing, next)
}

// typesOf returns the types that the query can match; nil if it can match any type.
func typesOf(q eventstore.Query) (types []string) {
	for _, item := range q.Items {
		if len(item.Types) == 0 {
			return nil
		}
		types = append(types, item.Types...)
	}
	return types
}
