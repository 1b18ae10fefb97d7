package aggregate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
)

// kept is a state together with where in the log it holds.
type kept[S any] struct {
	state   S
	version eventstore.Version
	last    eventstore.EventID  // the event at the version: the anchor
	life    eventstore.Identity // of the log, asked for before it was read; zero: it was not
	folded  int                 // events since the snapshot that it began with
}

// errNotInLog: the log does not have the event that a kept state ends with, or not at that
// version. It was rolled back, or is another one.
var errNotInLog = errors.New("the log does not have the event that the kept state ends with")

// follow folds what the stream has behind the kept state. The read begins with the state's own
// last event, so that the proof that the log still has it and the events behind it come from one
// read. After an error the state is of no use.
func (t *Type[S, E]) follow(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID, k *kept[S]) error {
	return t.followEach(ctx, store, stream, k, func() {})
}

// followEach is follow with a function that is called after each event.
func (t *Type[S, E]) followEach(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID, k *kept[S], each func()) error {
	if err := stream.Validate(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	proven := k.version == 0
	for recorded, err := range store.ReadStream(ctx, stream, eventstore.StreamRange{After: max(k.version-1, 0)}) {
		if err == nil && !proven {
			if recorded.Version != k.version || recorded.ID != k.last {
				return errNotInLog
			}
			proven = true
			continue
		}
		if err == nil {
			err = t.foldRecorded(&k.state, recorded)
		}
		if err != nil {
			return fmt.Errorf("load %s: %w", stream, err)
		}
		k.version, k.last = recorded.Version, recorded.ID
		k.folded++
		each()
	}
	if !proven {
		return errNotInLog
	}
	return nil
}

// load returns the newest state of the stream, and has a snapshot taken if that took long.
func (r *Repository[S, E]) load(ctx context.Context, store Store, stream eventstore.StreamID) (kept[S], error) {
	var life eventstore.Identity
	if r.snapshots != nil {
		var err error
		if life, err = lifeOf(ctx, store, stream); err != nil {
			return kept[S]{}, err
		}
	}
	return r.loadIn(ctx, store, stream, life)
}

// lifeOf asks for the life of the log, which is done before anything is read: of a life that is
// older than what was read, the append will be refused; of a newer one it would not.
func lifeOf(ctx context.Context, store Store, stream eventstore.StreamID) (eventstore.Identity, error) {
	if err := stream.Validate(); err != nil {
		return eventstore.Identity{}, fmt.Errorf("load: %w", err)
	}
	head, err := store.Head(ctx)
	if err != nil {
		return eventstore.Identity{}, fmt.Errorf("load %s: %w", stream, err)
	}
	return head.Identity, nil
}

// loadIn is load when the life of the log is known. It need not be, without snapshots.
func (r *Repository[S, E]) loadIn(ctx context.Context, store Store, stream eventstore.StreamID, life eventstore.Identity) (kept[S], error) {
	k, err := r.loadNewest(ctx, store, stream, life)
	if err == nil {
		r.offer(stream, &k)
	}
	return k, err
}

func (r *Repository[S, E]) loadNewest(ctx context.Context, store Store, stream eventstore.StreamID, life eventstore.Identity) (kept[S], error) {
	if from, found := r.fromSnapshot(ctx, stream, life); found {
		if r.snapshots.verifies(r.typ.shape) {
			return r.verify(ctx, store, stream, from)
		}
		err := r.typ.follow(ctx, store, stream, &from)
		if !errors.Is(err, errNotInLog) {
			return from, err
		}
	}
	k := kept[S]{life: life}
	err := r.typ.follow(ctx, store, stream, &k)
	return k, err
}

// fromSnapshot returns the state of the stream's snapshot, if there is one of this life of the
// log. It is not proven yet.
func (r *Repository[S, E]) fromSnapshot(ctx context.Context, stream eventstore.StreamID, life eventstore.Identity) (k kept[S], found bool) {
	if r.snapshots == nil {
		return k, false
	}
	snapshot, found := r.snapshots.find(ctx, SnapshotKey{life.Store, stream, r.typ.shape})
	if !found || snapshot.Incarnation != life.Incarnation || snapshot.Version < 1 {
		return k, false
	}
	k = kept[S]{version: snapshot.Version, last: snapshot.EventID, life: life}
	if err := decodeState(snapshot.State, &k.state); err != nil {
		r.snapshots.report(stream, fmt.Errorf("decode the snapshot at version %d: %w", snapshot.Version, err))
		return k, false
	}
	return k, true
}

// verify folds the stream from its beginning and holds what it finds at the snapshot's version
// against the snapshot. The folded state is the right one, whatever the snapshot says.
func (r *Repository[S, E]) verify(ctx context.Context, store Store, stream eventstore.StreamID, from kept[S]) (kept[S], error) {
	k := kept[S]{life: from.life}
	proven, differs := false, false
	err := r.typ.followEach(ctx, store, stream, &k, func() {
		if k.version == from.version && k.last == from.last {
			proven, differs = true, !reflect.DeepEqual(k.state, from.state)
		}
	})
	switch {
	case err != nil || !proven: // without proof it is as if there were none
	case differs:
		r.snapshots.distrust(r.typ.shape)
		r.snapshots.report(stream, &SnapshotMismatchError{Stream: stream, Version: from.version, Shape: r.typ.shape})
		k.folded = math.MaxInt / 2 // so that another one takes its place
	default:
		k.folded -= int(from.version)
	}
	return k, err
}

// advance adds events that were appended by ourselves, as the log has them now.
func (r *Repository[S, E]) advance(stream eventstore.StreamID, k *kept[S], events []eventstore.EventData) (err error) {
	defer noPanic(&err)
	for _, event := range events {
		recorded := eventstore.Recorded{EventData: event, Stream: stream, Version: k.version + 1}
		if err := r.typ.foldRecorded(&k.state, recorded); err != nil {
			return err
		}
		k.version, k.last = recorded.Version, event.ID
		k.folded++
	}
	return nil
}

// noPanic turns a panic of the user's code, the fold's for instance, into an error: where the
// command is done, or was to do without.
func noPanic(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}
