package projection

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// EventError says which event a projection failed on. Nothing of its window was
// applied and the checkpoint did not move.
type EventError struct {
	Event eventstore.Recorded
	Err   error
	// Permanent is set if trying again cannot help: the event does not decode, or the
	// projection's code panicked on it. The projection stops at once.
	Permanent bool
}

func (e *EventError) Error() string {
	return fmt.Sprintf("event %s at position %d (%s, version %d): %v",
		e.Event.Type, e.Event.Position, e.Event.Stream, e.Event.Version, e.Err)
}

// FailedAt makes it a [subscription.EventFailure].
func (e *EventError) FailedAt() (at eventstore.Anchor, eventType string) {
	return eventstore.Anchor{Position: e.Event.Position, EventID: e.Event.ID}, e.Event.Type
}

// Unwrap returns the cause, and marks a permanent one for the subscription.
func (e *EventError) Unwrap() []error {
	if e.Permanent {
		return []error{subscription.ErrPermanent, e.Err}
	}
	return []error{e.Err}
}

// ParkedError is what a reader returns in place of rows that lack what [query.Ask] requires,
// because their keys are parked. Without a requirement their rows are read as they are.
type ParkedError struct {
	Model string
	Keys  []Parked // that were read, and parked at or before what is required
}

func (e *ParkedError) Error() string {
	first := e.Keys[0]
	return fmt.Sprintf("%s: key %q (of %d) is parked since position %d: %s; mend its cause, then call projection.Retry", e.Model, first.Key, len(e.Keys), first.Event.Position, first.Cause)
}

// BuildingError is what a reader returns whose generation was not live in time.
type BuildingError struct {
	Build // without a stage: its worker has not opened it yet
	Live  Generation
	Err   error
}

func (e *BuildingError) Error() string {
	text := fmt.Sprintf("%s is being built and %s is live until then", e.Generation, e.Live)
	if e.Stage == "" {
		text = fmt.Sprintf("nobody has begun to build %s, and %s is live: run a worker", e.Generation, e.Live)
	}
	if len(e.Checkpoints) > 0 {
		text = fmt.Sprintf("%s: it is at position %d", text, e.Checkpoints[0].Position())
	}
	return fmt.Sprintf("%s: %v", text, e.Err)
}

// Unwrap returns the error of the context that ended.
func (e *BuildingError) Unwrap() error { return e.Err }

// recoverAsEventError is for defer: a panic of the projection's code becomes an error
// that names the event under way.
func recoverAsEventError(underWay **eventstore.Recorded, err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = &EventError{Event: **underWay, Err: fmt.Errorf("panic: %w", p), Permanent: true}
	default:
		*err = &EventError{Event: **underWay, Err: fmt.Errorf("panic: %v", p), Permanent: true}
	}
}
