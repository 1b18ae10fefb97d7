package sqlite

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// checkCondition refuses the append if a matching event stands after the condition's
// position.
func (t *tail) checkCondition(ctx context.Context, c eventstore.Condition) error {
	if c.After > t.head {
		return refusal{fmt.Errorf("append condition after position %d: %w: the head is %d", c.After, eventstore.ErrAheadOfLog, t.head)}
	}
	if lookback := t.head - c.After; !c.FailIf.Tagged() && lookback > eventstore.MaxUntaggedLookback {
		return refusal{fmt.Errorf("%w: it looks back %d positions for %s, the limit is %d; add a tag to every item of the query",
			eventstore.ErrConditionTooWide, lookback, c.FailIf, eventstore.MaxUntaggedLookback)}
	}
	position, err := t.firstMatch(ctx, c.FailIf, c.After)
	if err != nil {
		return fmt.Errorf("check the append condition: %w", err)
	}
	if position != 0 {
		return refusal{&eventstore.ConditionFailedError{Query: c.FailIf, After: c.After, Position: position}}
	}
	return nil
}

// firstMatch returns the position of an event after the position that matches the
// query, 0 if there is none. It is the first match of some item, not always the first
// of all: one is enough to refuse.
func (t *tail) firstMatch(ctx context.Context, q eventstore.Query, after eventstore.Position) (eventstore.Position, error) {
	switch {
	case after == t.head:
		return 0, nil
	case q.MatchesAll():
		return after + 1, nil // positions have no gaps
	}
	for _, item := range q.Items {
		position, err := t.firstOfItem(ctx, item, after)
		if position != 0 || err != nil {
			return position, err
		}
	}
	return 0, nil
}

func (t *tail) firstOfItem(ctx context.Context, item eventstore.QueryItem, after eventstore.Position) (position eventstore.Position, err error) {
	if len(item.Tags) == 0 {
		_, err = t.tx.find(ctx, firstOfTypesSQL, []any{int64(after), int64(t.head), array(item.Types)}, &position)
		return position, err
	}
	first, err := taggedPositions(ctx, t.tx, item, span{after, t.head}, 1)
	if len(first) == 0 || err != nil {
		return 0, err
	}
	return first[0], nil
}
