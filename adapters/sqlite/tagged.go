package sqlite

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// span is a range of the log: after < position <= through.
type span struct{ after, through eventstore.Position }

// taggedPositions returns the first positions in the span of events that match an item
// with tags, at most limit, in order. It never looks at the log itself unless the item
// names types too.
func taggedPositions(ctx context.Context, tx *transaction, item eventstore.QueryItem, in span, limit int) ([]eventstore.Position, error) {
	lead, others, err := rarestFirst(ctx, tx, item.Tags, in)
	if err != nil {
		return nil, err
	}
	text, args := taggedSQL, []any{string(lead), int64(in.after), int64(in.through), limit, array(others)}
	if len(item.Types) > 0 {
		text, args = taggedTypesSQL, append(args, array(item.Types))
	}
	rows, err := tx.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err tells
	var positions []eventstore.Position
	for rows.Next() {
		var position eventstore.Position
		if err := rows.Scan(&position); err != nil {
			return nil, err
		}
		positions = append(positions, position)
	}
	return positions, rows.Err()
}

// rarestFirst chooses the tag whose events are walked; the others are only probed. With
// "country:UK" first, which half the log carries, a search for one customer there would
// walk half the log, under the write lock if it is a condition.
func rarestFirst(ctx context.Context, tx *transaction, tags []eventstore.Tag, in span) (lead eventstore.Tag, others []eventstore.Tag, err error) {
	if len(tags) == 1 {
		return tags[0], nil, nil
	}
	best, furthest := 0, eventstore.Position(-1)
	for n, tag := range tags {
		reach := in.through + 1 // beyond every sample: fewer events than a sample
		if _, err := tx.find(ctx, tagSampleSQL, []any{string(tag), int64(in.after), int64(in.through), tagSample}, &reach); err != nil {
			return "", nil, err
		}
		if reach > furthest {
			best, furthest = n, reach
		}
	}
	return tags[best], slices.Concat(tags[:best], tags[best+1:]), nil
}

// array returns the values as a JSON array, the one way to give SQLite a list.
func array[T any](values []T) string {
	if len(values) == 0 {
		return "[]"
	}
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return string(text)
}
