package projection

import (
	"context"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// history is the events that concern a parked key, from the one that it was parked at up to a
// checkpoint. When the checkpoint moves before what they change is committed, it reads only
// what is new: to read all of it again would take as long again, and the checkpoint of a busy
// projection would always be faster.
type history struct {
	from, through eventstore.Anchor
	events        []eventstore.Recorded // the others, perhaps most of the log, are not kept
}

// readTo goes on to the checkpoint.
func (h *history) readTo(ctx context.Context, log eventstore.LogReader, query eventstore.Query, at subscription.Checkpoint, parked Parked, concerns func(eventstore.Recorded, string) (bool, error)) error {
	if h.from != parked.Event || h.through.Position > at.Position() { // a failover may take commits back
		*h = history{from: parked.Event, through: eventstore.Anchor{Position: parked.Event.Position - 1}}
	}
	read, err := log.ReadLog(ctx, eventstore.LogQuery{Query: query, After: h.through.Position, Through: at.Position()})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	more := slices.Clip(h.events) // a read that fails halfway is begun again
	inLog := h.through.Position >= parked.Event.Position
	for e, err := range read.Events() {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if inLog = inLog || e.ID == parked.Event.EventID; !inLog {
			break
		}
		found, err := concerns(e, parked.Key)
		if err != nil {
			return err
		}
		if found {
			more = append(more, e)
		}
	}
	if !inLog || read.Through != at.Anchor {
		return fmt.Errorf("%w: key %q was parked at %s and its segment is at %s, which the log does not have any more; rebuild the read model",
			eventstore.ErrDiverged, parked.Key, parked.Event, at.Anchor)
	}
	h.events, h.through = more, at.Anchor
	return nil
}
