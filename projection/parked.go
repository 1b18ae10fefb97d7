package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// maxParked is how many keys of a segment may be parked. If more fail, the projection is
// wrong, not some of its keys: the segment stops.
const maxParked = 100

// keyError is a failure that only one key is concerned by.
type keyError struct {
	key   string
	event eventstore.Recorded // from which on the key's row cannot be made
	err   error
}

func (e *keyError) Error() string { return e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

func (e *keyError) parked(now time.Time) Parked {
	at := eventstore.Anchor{Position: e.event.Position, EventID: e.event.ID}
	return Parked{Key: e.key, Event: at, Type: e.event.Type, Cause: cause(e.err), At: now.UTC().Truncate(time.Microsecond)}
}

const maxCauseBytes = 2000

// cause returns the text of an error that any sink can store: it may be made of the very bytes
// that a row could not be made of.
func cause(err error) string {
	text := err.Error()
	text = text[:min(len(text), maxCauseBytes)]
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// parkedKeys are those of a generation, as they were when the checkpoint had their count.
type parkedKeys struct {
	parks int64 // of the checkpoint; the zero value stands for no keys
	keys  []Parked
}

// refresh reads them again if they have changed since. If they change once more before the
// commit, the checkpoint has moved too, and the commit is refused.
func (k *parkedKeys) refresh(ctx context.Context, sink Checkpoints, of Generation, at subscription.Checkpoint) (err error) {
	if k.parks == at.Parks {
		return nil
	}
	if k.keys, err = sink.Parked(ctx, of, at.Source.Store); err != nil {
		return fmt.Errorf("read what is parked: %w", err)
	}
	k.parks = at.Parks
	return nil
}

// in counts those of a segment.
func (k *parkedKeys) in(segment subscription.Segment) (n int) {
	for _, parked := range k.keys {
		if segment.Holds(parked.Key) {
			n++
		}
	}
	return n
}

// leaveOut removes the touches of parked keys, and of keys to be parked those from their
// event on.
func (b *batch[R]) leaveOut(parked, park []Parked) {
	from := map[string]eventstore.Position{}
	for _, p := range parked {
		from[p.Key] = p.Event.Position
	}
	for _, p := range park {
		from[p.Key] = p.Event.Position
	}
	if len(from) == 0 {
		return
	}
	left := map[string]bool{}
	b.touches = slices.DeleteFunc(b.touches, func(t touch[R]) bool {
		position, out := from[t.row.key]
		out = out && t.m.Position >= position
		left[t.row.key] = left[t.row.key] || !out
		return out
	})
	b.rows = slices.DeleteFunc(b.rows, func(r *row[R]) bool { return !left[r.key] })
}

// Retry makes the row of a parked key from where it was parked to where its segment is by now,
// and takes the key up again: after a deploy of a view that knows what to do with the event, or
// after the cause has passed. It returns the error of the event that fails now, and the key
// stays parked then; [ErrDefinitionChanged] if the view is not by the rules that made the other
// rows, and [eventstore.ErrDiverged] if the log does not have the events any more. A key that is
// not parked is left alone. It may be called from any process, while workers run.
func Retry[R any](ctx context.Context, log eventstore.LogReader, events *codec.Set, sink Sink, view *View[R], key string) error {
	model, types, err := view.model(events)
	if err != nil {
		return err
	}
	t := newViewTarget(view, model, sink, events)
	t.segment = subscription.Segment{First: eventstore.SliceOf(key), End: eventstore.SliceOf(key) + 1}
	var past history
	return t.unpark(ctx, log, key, func(at subscription.Checkpoint, parked Parked) ([]Change, error) {
		if err := sink.Open(ctx, model, at.Source); err != nil { // it is open; are these its rules?
			return nil, err
		}
		err := past.readTo(ctx, log, types, at, parked, func(e eventstore.Recorded) (bool, error) {
			b, err := t.batchOf([]eventstore.Recorded{e})
			return err == nil && slices.ContainsFunc(b.rows, func(r *row[R]) bool { return r.key == key }), err
		})
		if err != nil {
			return nil, err
		}
		return t.remade(ctx, past.events, key)
	})
}

// Skip takes a parked key up again without the event that it was parked for and all events
// since: its row stays as it is, and goes on with the next event. That is a decision to live
// with a row that is not what the log says.
func Skip[R any](ctx context.Context, log eventstore.LogReader, sink Sink, view *View[R], key string) error {
	t := newViewTarget(view, Model{Generation: view.generation, Columns: view.mapping.columns, Indexes: view.indexes}, sink, nil)
	return t.unpark(ctx, log, key, func(subscription.Checkpoint, Parked) ([]Change, error) { return nil, nil })
}

// unpark commits the changes together with the end of the parking, at the checkpoint where
// they were made. A worker that moves it meanwhile wins, and the changes are made again.
func (t *viewTarget[R]) unpark(ctx context.Context, log eventstore.LogReader, key string, changes func(subscription.Checkpoint, Parked) ([]Change, error)) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	for {
		at, err := t.checkpointOf(ctx, head.Store, key)
		if err != nil {
			return err
		}
		all, err := t.sink.Parked(ctx, t.model.Generation, head.Store)
		if err != nil {
			return fmt.Errorf("read what is parked: %w", err)
		}
		n := slices.IndexFunc(all, func(p Parked) bool { return p.Key == key })
		if n < 0 {
			return nil
		}
		if all[n].Event.Position <= at.Position() { // else it was parked since we read the checkpoint
			made, err := changes(at, all[n])
			if err != nil {
				return err
			}
			move := Move{From: at, To: at, Unpark: []string{key}}
			move.To.Parks++
			if err := t.sink.Commit(ctx, t.model, move, made); !errors.Is(err, subscription.ErrStale) {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// checkpointOf returns the checkpoint of the segment that has the key.
func (t *viewTarget[R]) checkpointOf(ctx context.Context, source eventstore.StoreID, key string) (subscription.Checkpoint, error) {
	roster, err := t.sink.Leases(t.model.Generation, source).Roster(ctx)
	if err != nil {
		return subscription.Checkpoint{}, fmt.Errorf("read the segments: %w", err)
	}
	for _, l := range roster.Segments {
		if l.Segment.Holds(key) {
			return l.Checkpoint, nil
		}
	}
	return subscription.Checkpoint{}, ErrNotBuilt
}

// remade returns what the events change on a key.
func (t *viewTarget[R]) remade(ctx context.Context, events []eventstore.Recorded, key string) ([]Change, error) {
	b, err := t.loaded(ctx, events, key)
	if err != nil {
		return nil, err
	}
	if err := t.fold(b); err != nil {
		return nil, err
	}
	return t.changes(b)
}

// loaded returns what the events do to one key, whose row is loaded.
func (t *viewTarget[R]) loaded(ctx context.Context, events []eventstore.Recorded, key string) (*batch[R], error) {
	b, err := t.batchOf(events)
	if err != nil {
		return nil, err
	}
	b.touches = slices.DeleteFunc(b.touches, func(touch touch[R]) bool { return touch.row.key != key })
	b.rows = slices.DeleteFunc(b.rows, func(r *row[R]) bool { return r.key != key })
	return b, t.load(ctx, b)
}
