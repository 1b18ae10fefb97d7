package sqlite

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// streamEnd is what decides about appends to a stream and reads of it.
type streamEnd struct {
	version eventstore.Version
	deleted bool
}

func readEnd(ctx context.Context, tx *transaction, stream eventstore.StreamID) (streamEnd, error) {
	var end streamEnd
	var newest string
	if _, err := tx.find(ctx, streamEndSQL, []any{string(stream)}, &end.version, &newest); err != nil {
		return streamEnd{}, fmt.Errorf("look up the end of %s: %w", stream, err)
	}
	end.deleted = newest == eventstore.TombstoneType
	return end, nil
}

// accepts returns nil or why the write is refused.
func (e streamEnd) accepts(w eventstore.Write) error {
	if e.deleted {
		return fmt.Errorf("append to %s: %w", w.Stream, eventstore.ErrStreamDeleted)
	}
	expected := w.Expected
	if e.version == 0 && isTombstone(w) && expected.Accepts(0) {
		expected = eventstore.StreamExists // nothing to delete, whatever the caller believes
	}
	if !expected.Accepts(e.version) {
		return &eventstore.VersionConflictError{Stream: w.Stream, Expected: expected, Actual: e.version}
	}
	return nil
}

func isTombstone(w eventstore.Write) bool {
	return len(w.Events) == 1 && w.Events[0].Type == eventstore.TombstoneType
}
