package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// page fetches the matching events after a position: through the tag index if every
// item of the query has a tag, else along the log.
func (r *logRead) page(ctx context.Context, tx *transaction, after eventstore.Position) (page, error) {
	in := span{after, r.through}
	if r.query.Query.Tagged() {
		return r.taggedPage(ctx, tx, in)
	}
	rows, err := r.scan(ctx, tx, in)
	if err != nil {
		return page{}, err
	}
	return scanPage(rows, pageLimit(r.query.Limit), r.query.Query.Matches)
}

// scan walks the log, leaving out what no item can match by its type.
func (r *logRead) scan(ctx context.Context, tx *transaction, in span) (*sql.Rows, error) {
	types, some := typesOf(r.query.Query)
	if !some {
		return tx.query(ctx, logAllSQL, int64(in.after), int64(in.through))
	}
	return tx.query(ctx, logTypesSQL, int64(in.after), int64(in.through), array(types))
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

// taggedPage finds the positions first, item by item, and then fetches the events.
func (r *logRead) taggedPage(ctx context.Context, tx *transaction, in span) (page, error) {
	positions, complete, err := r.taggedUnion(ctx, tx, in)
	if err != nil || len(positions) == 0 {
		return page{last: true}, err
	}
	rows, err := tx.query(ctx, logPositionsSQL, array(positions))
	if err != nil {
		return page{}, err
	}
	p, err := scanPage(rows, len(positions), everything)
	if err != nil {
		return page{}, err
	}
	if p.last {
		return page{}, fmt.Errorf("%w: the tag index names events that are not in the log", ErrCorrupt)
	}
	p.last = complete && len(p.events) == len(positions)
	return p, nil
}

// taggedUnion returns the first positions that any item matches, and whether these are all.
//
// An item that has more than a page only speaks for the log up to its last position, so
// the union is cut there: behind it, that item's matches are missing.
func (r *logRead) taggedUnion(ctx context.Context, tx *transaction, in span) (union []eventstore.Position, complete bool, err error) {
	limit := pageLimit(r.query.Limit)
	known := in.through
	for _, item := range r.query.Query.Items {
		found, err := taggedPositions(ctx, tx, item, in, limit)
		if err != nil {
			return nil, false, err
		}
		if len(found) == limit {
			known = min(known, found[limit-1])
		}
		union = append(union, found...)
	}
	slices.Sort(union)
	union = slices.Compact(union)
	beyond, _ := slices.BinarySearch(union, known+1)
	return union[:beyond], known == in.through, nil
}
