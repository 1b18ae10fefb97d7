package aggregate

import (
	"context"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Load returns the aggregate's state and the version that it is the state of. An
// aggregate without events has the zero state at version 0. The state holds every append
// that returned before the call.
//
// Errors wrap a decode error of package codec, [eventstore.ErrStreamDeleted], those of a
// bad id ([eventstore.ErrInvalid], [eventstore.ErrTooLarge]) and of a failed read. With an
// error the state is zero: never the fold of a part of the events.
func (r *Repository[S, E]) Load(ctx context.Context, id string) (S, eventstore.Version, error) {
	k, err := r.load(ctx, r.store, r.typ.Stream(id))
	return orZero(k.state, k.version, err)
}

// LoadAt returns the state that the aggregate had right after the event of that version.
// At version 0 it is the zero state. A version that the aggregate has not reached is a
// [VersionNotReachedError], a negative one [eventstore.ErrInvalid]; the other errors are
// those of [Repository.Load].
func (r *Repository[S, E]) LoadAt(ctx context.Context, id string, version eventstore.Version) (S, error) {
	var zero S
	if version == 0 {
		return zero, nil // as a range, 0 would mean all events
	}
	stream := r.typ.Stream(id)
	state, actual, err := r.typ.load(ctx, r.store, stream, eventstore.StreamRange{Through: version})
	if err != nil {
		return zero, err
	}
	if actual != version {
		return zero, &VersionNotReachedError{Stream: stream, Version: version, Actual: actual}
	}
	return state, nil
}

// LoadAsOf returns the state as it was known at a time, and its version: the fold of the
// longest prefix of the stream whose events were all recorded at or before t.
//
// Clocks may run backwards, so an event recorded at or before t may follow one recorded
// after it. It is left out: a state without one of its earlier events never existed.
// Before the first event the state is zero at version 0. Errors are those of
// [Repository.Load].
func (r *Repository[S, E]) LoadAsOf(ctx context.Context, id string, t time.Time) (S, eventstore.Version, error) {
	until := func(recorded eventstore.Recorded) bool { return recorded.RecordedAt.After(t) }
	state, version, err := r.typ.loadUntil(ctx, r.store, r.typ.Stream(id), eventstore.StreamRange{}, until)
	return orZero(state, version, err)
}

// VersionNotReachedError says that an aggregate has no such version yet.
type VersionNotReachedError struct {
	Stream          eventstore.StreamID
	Version, Actual eventstore.Version
}

func (e *VersionNotReachedError) Error() string {
	return fmt.Sprintf("load %s at version %d: it is at version %d", e.Stream, e.Version, e.Actual)
}

func (t *Type[S, E]) load(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID, in eventstore.StreamRange) (S, eventstore.Version, error) {
	return t.loadUntil(ctx, store, stream, in, func(eventstore.Recorded) bool { return false })
}

// loadUntil folds the events of the range before the first one that ends it.
func (t *Type[S, E]) loadUntil(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID, in eventstore.StreamRange, ends func(eventstore.Recorded) bool) (state S, version eventstore.Version, err error) {
	if err := stream.Validate(); err != nil {
		return state, 0, fmt.Errorf("load: %w", err)
	}
	for recorded, err := range store.ReadStream(ctx, stream, in) {
		if err == nil && ends(recorded) {
			break
		}
		if err == nil {
			err = t.foldRecorded(&state, recorded)
		}
		if err != nil {
			return state, version, fmt.Errorf("load %s: %w", stream, err)
		}
		version = recorded.Version
	}
	return state, version, nil
}

// orZero keeps a half-folded state from leaving the package.
func orZero[S any](state S, version eventstore.Version, err error) (S, eventstore.Version, error) {
	if err != nil {
		var zero S
		return zero, 0, err
	}
	return state, version, nil
}
