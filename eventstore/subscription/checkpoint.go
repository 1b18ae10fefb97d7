package subscription

import (
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// Checkpoint says how far a target has applied the log of one store.
// The zero value is a target that has never seen the store.
type Checkpoint struct {
	// Source is the store, in the life in which the checkpoint was last moved.
	Source eventstore.Identity

	// Anchor is the last position applied and the event that stood there.
	Anchor eventstore.Anchor

	// Fence is the number of the segment's newest lease. It only rises; a move under a lower
	// one is refused, so a worker that slept past its lease cannot write. 0 without leases.
	Fence int64

	// Parks counts the changes to which keys are parked, so that nobody moves the checkpoint
	// with an older list of them in mind.
	Parks int64

	// Generation is the build of the read model, "name@version".
	Generation string

	// Segment is the part of the keys that the checkpoint speaks of.
	Segment Segment
}

// Position returns the last position applied.
func (c Checkpoint) Position() eventstore.Position { return c.Anchor.Position }

// Token returns the checkpoint as a token: what a reader of the target can see.
func (c Checkpoint) Token() eventstore.Token {
	return eventstore.Token{Identity: c.Source, Position: c.Anchor.Position}
}

// ErrStale is what a target answers when the stored checkpoint is not the one that
// the window starts from: somebody else has moved it. Nothing was applied.
var ErrStale = errors.New("checkpoint was moved by somebody else")

// next returns the checkpoint after everything up to the anchor has been applied.
func (c Checkpoint) next(source eventstore.Identity, to eventstore.Anchor) Checkpoint {
	c.Source, c.Anchor = source, to
	return c
}

// verify compares the checkpoint with what the log has now.
//
// With an anchor the event decides: the same event at the same position means that
// everything below is the same too, whichever life the store is in. At position 0
// there is no event to compare, so the identity must be the same.
func (c Checkpoint) verify(read *eventstore.LogRead) error {
	if c.Source == (eventstore.Identity{}) && c.Anchor == (eventstore.Anchor{}) {
		return nil // it has never seen the store
	}
	if c.Source.Store != read.Identity.Store {
		return fmt.Errorf("%w: the checkpoint is of store %s, the log is of store %s",
			eventstore.ErrDiverged, c.Source.Store, read.Identity.Store)
	}
	if c.Position() == 0 && c.Source != read.Identity {
		return fmt.Errorf("%w: the checkpoint is at position 0 of incarnation %d, the store is in incarnation %d; rebuild the read model",
			eventstore.ErrDiverged, c.Source.Incarnation, read.Identity.Incarnation)
	}
	if c.Anchor != read.After {
		return fmt.Errorf("%w: the checkpoint is at %s, the log has %s there; rebuild the read model",
			eventstore.ErrDiverged, c.Anchor, read.After)
	}
	return nil
}

// Lowest returns the one of the checkpoints that is least far: what every reader of all
// segments can rely on. Without checkpoints it is the zero one.
func Lowest(checkpoints []Checkpoint) (lowest Checkpoint) {
	for n, c := range checkpoints {
		if n == 0 || c.Position() < lowest.Position() {
			lowest = c
		}
	}
	return lowest
}
