package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// taggedPage finds the positions first, item by item, and then fetches the events.
func (r *logRead) taggedPage(ctx context.Context, on session, from resume) (page, error) {
	positions, complete, err := r.taggedUnion(ctx, on, span{from.position, r.through.Position}, from.rows)
	if err != nil || len(positions) == 0 {
		return page{last: true}, err
	}
	scan, err := r.eventsAt(ctx, on, positions)
	if err != nil {
		return page{}, err
	}
	p := scan.done()
	p.last = complete && !scan.cut
	return p, nil
}

// eventsAt fetches the events at the positions that the index of tags named.
func (r *logRead) eventsAt(ctx context.Context, on session, positions []eventstore.Position) (*pageScan, error) {
	scan := newPageScan(resume{rows: len(positions)})
	if err := on.rows(ctx, r.sql.logPositions, scan.scan, bigints(positions), position(r.through.Position)); err != nil {
		return nil, err
	}
	lacks := scan.rows < len(positions)
	if err := scan.end.check(r.through, lacks); err != nil {
		return nil, err
	}
	if lacks {
		return nil, fmt.Errorf("%w: the index of tags names events that are not in the log", eventstore.ErrDiverged)
	}
	return scan, nil
}

// taggedUnion returns the first positions that any item matches, and whether these are all.
//
// An item that has more than a page only speaks for the log up to its last position, so
// the union is cut there: behind it, that item's matches are missing.
func (r *logRead) taggedUnion(ctx context.Context, on session, in span, most int) (union []eventstore.Position, complete bool, err error) {
	known := in.through
	for _, item := range r.query.Query.Items {
		found, err := r.taggedPositions(ctx, on, item, in, most)
		if err != nil {
			return nil, false, err
		}
		if len(found) == most {
			known = min(known, found[most-1])
		}
		union = append(union, found...)
	}
	slices.Sort(union)
	union = slices.Compact(union)
	beyond, _ := slices.BinarySearch(union, known+1)
	return union[:beyond], known == in.through, nil
}

// taggedPositions returns the first positions in the span of events that match an item
// with tags, at most so many, in order. It never looks at the log itself unless the item
// names types too. Fewer than asked for are all there are: the statement proves it.
func (r *logRead) taggedPositions(ctx context.Context, on session, item eventstore.QueryItem, in span, most int) (positions []eventstore.Position, err error) {
	lead, others, err := r.rarestFirst(ctx, on, item.Tags, in)
	if err != nil {
		return nil, err
	}
	var end proof
	err = on.rows(ctx, r.sql.tagged, func(row [][]byte) error {
		if row[1] != nil {
			end.take(row[1])
			return nil
		}
		positions = append(positions, eventstore.Position(readInt8(row[0])))
		return nil
	}, []byte(lead), position(in.after), position(in.through), bigint(int64(most)), texts(others), texts(item.Types))
	if err == nil {
		err = end.check(r.through, len(positions) < most)
	}
	return positions, err
}

// rarestFirst chooses the tag whose events are walked; the others are only probed. With
// "country:UK" first, which half the log carries, a search for one customer there would
// walk half the log.
func (r *logRead) rarestFirst(ctx context.Context, on session, tags []eventstore.Tag, in span) (lead eventstore.Tag, others []eventstore.Tag, err error) {
	if len(tags) == 1 {
		return tags[0], nil, nil
	}
	best, furthest := 0, eventstore.Position(-1)
	for n, tag := range tags {
		reach := in.through + 1 // beyond every sample: fewer events than a sample
		_, err := on.row(ctx, r.sql.tagSample, func(row [][]byte) error {
			reach = eventstore.Position(readInt8(row[0]))
			return nil
		}, []byte(tag), position(in.after), position(in.through), bigint(tagSample))
		if err != nil {
			return "", nil, err
		}
		if reach > furthest {
			best, furthest = n, reach
		}
	}
	return tags[best], slices.Concat(tags[:best], tags[best+1:]), nil
}
