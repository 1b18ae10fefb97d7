package aggregate

import (
	"context"
	"fmt"
	"iter"

	"github.com/leftfold/leftfold/eventstore"
)

// Step is one event of an aggregate's history: what happened, and when (Recorded), who did it and
// why (Metadata), and what it did to the state.
type Step[S, E any] struct {
	eventstore.Recorded

	// Metadata are the event's; nil if they are not in the usual form.
	Metadata eventstore.Metadata
	// Events are what the event is to this program: upcasters may have made several of it, or none.
	Events []E
	// Before is the state that the event met, State the one that it left. They hold until the next
	// step, which changes what they refer to. [Diff] tells them apart.
	Before, State S
}

// History yields what has happened to the aggregate, event by event, oldest first. An aggregate
// without events has none.
//
// An error is yielded once, as the last element, with a zero step; it is one of
// [Repository.Load]. Memory does not grow with the length of the history.
func (r *Repository[S, E]) History(ctx context.Context, id string) iter.Seq2[Step[S, E], error] {
	return func(yield func(Step[S, E], error) bool) {
		stream := r.typ.Stream(id)
		if err := stream.Validate(); err != nil {
			yield(Step[S, E]{}, fmt.Errorf("history: %w", err))
			return
		}
		var step Step[S, E]
		for recorded, err := range r.store.ReadStream(ctx, stream, eventstore.StreamRange{}) {
			if err == nil {
				err = r.typ.advance(&step, recorded)
			}
			if err != nil {
				yield(Step[S, E]{}, fmt.Errorf("history of %s: %w", stream, err))
				return
			}
			if !yield(step, nil) {
				return
			}
		}
	}
}

// advance makes the step the next one. Each of its states is a fold of its own, one event behind
// the other, of events that were decoded for it: copied, they would share slices and maps, and
// the fold of the later state would change the earlier one.
func (t *Type[S, E]) advance(step *Step[S, E], recorded eventstore.Recorded) error {
	if step.Version > 0 {
		if err := t.foldRecorded(&step.Before, step.Recorded); err != nil {
			return err
		}
	}
	if err := t.foldRecorded(&step.State, recorded); err != nil {
		return err
	}
	decoded, err := t.events.Decode(recorded)
	if err != nil {
		return err
	}
	step.Recorded, step.Events = recorded, make([]E, len(decoded))
	for n, event := range decoded {
		step.Events[n] = event.(E) // Define has checked that every event is an E
	}
	step.Metadata, err = eventstore.ParseMetadata(recorded.Metadata)
	if err != nil {
		step.Metadata = nil // a form of the user's own is no failure of the history
	}
	return nil
}
