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

// defaultMaxParked is that of [Worker].MaxParked.
const defaultMaxParked = 100

// keyError is a failure that only one key is concerned by.
type keyError struct {
	key   string
	event eventstore.Recorded // from which on the key cannot be made
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

// mayPark returns nil if the key can be parked beside those of its segment that are already.
func (e *keyError) mayPark(most, already int, segment subscription.Segment) error {
	if most == 0 {
		return e.err
	}
	if already >= most {
		return fmt.Errorf("%w: %d keys of segment %s are parked already: %w", subscription.ErrPermanent, already, segment, e.err)
	}
	if err := checkText(e.key); err != nil {
		return fmt.Errorf("%w: key %q cannot be parked: %w: %w", subscription.ErrPermanent, e.key, err, e.err)
	}
	return nil
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

// has reports whether the events of a key are left alone from a position on.
func (k *parkedKeys) has(key string, position eventstore.Position) bool {
	return slices.ContainsFunc(k.keys, func(p Parked) bool { return p.Key == key && p.Event.Position <= position })
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

// Retry applies to a parked key what it lacks, from the event that it was parked for to where its
// segment is by now, and takes it up again: after a deploy of a projection that knows what to do
// with the event, or after the cause has passed. A handler is called for these events in the
// transaction that takes the key up. It returns the error of the event that fails now, and the key
// stays parked then; [ErrDefinitionChanged] if the task is not by the rules that made the other
// rows, and [eventstore.ErrDiverged] if the log does not have the events any more. A key that is
// not parked is left alone. It may be called from any process, while workers run.
func Retry(ctx context.Context, log eventstore.LogReader, events *codec.Set, task Task, key string) error {
	b, err := task.resolve(events)
	if err != nil {
		return err
	}
	return b.unpark(ctx, log, key, true)
}

// Skip takes a parked key up again without the event that it was parked for and all events
// since: it stays as it is, and goes on with the next event. That is a decision to live
// with a read model that is not what the log says. [ErrDefinitionChanged] is as in [Retry].
func Skip(ctx context.Context, log eventstore.LogReader, events *codec.Set, task Task, key string) error {
	b, err := task.resolve(events)
	if err != nil {
		return err
	}
	return b.unpark(ctx, log, key, false)
}

// unpark commits what the key lacks together with the end of the parking, at the checkpoint up
// to which it was read. A worker that moves the checkpoint meanwhile wins; then only what it has
// passed by since is read.
func (b bound) unpark(ctx context.Context, log eventstore.LogReader, key string, applies bool) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	var past history
	for {
		at, err := b.checkpointOf(ctx, head.Store, key)
		if err != nil {
			return err
		}
		all, err := b.sink.Parked(ctx, b.model.Generation, head.Store)
		if err != nil {
			return fmt.Errorf("read what is parked: %w", err)
		}
		n := slices.IndexFunc(all, func(p Parked) bool { return p.Key == key })
		if n < 0 {
			return nil
		}
		if all[n].Event.Position <= at.Position() { // else it was parked since we read the checkpoint
			if err := b.sink.Open(ctx, b.model, at.Source); err != nil { // it is open; are these its rules?
				return err
			}
			if applies {
				if err := past.readTo(ctx, log, b.query, at, all[n], b.concerns); err != nil {
					return err
				}
			}
			move := Move{From: at, To: at, Unpark: []string{key}}
			move.To.Parks++
			if err := b.remake(ctx, move, key, past.events); !errors.Is(err, subscription.ErrStale) {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// checkpointOf returns the checkpoint of the segment that has the key.
func (b bound) checkpointOf(ctx context.Context, source eventstore.StoreID, key string) (subscription.Checkpoint, error) {
	roster, err := b.sink.Leases(b.model.Generation, source).Roster(ctx)
	if err != nil {
		return subscription.Checkpoint{}, fmt.Errorf("read the segments: %w", err)
	}
	for _, l := range roster.Segments {
		if l.Segment.Holds(key) {
			return l.Checkpoint, nil
		}
	}
	return subscription.Checkpoint{}, fmt.Errorf("%w: %s", ErrNotBuilt, b.model.Generation)
}

// of returns a target of one key, and of the few others in its slice.
func (t *viewTarget[R]) of(key string) *viewTarget[R] {
	one := *t
	one.segment = subscription.Segment{First: eventstore.SliceOf(key), End: eventstore.SliceOf(key) + 1}
	return &one
}

// concerns reports whether the event touches the key's row.
func (t *viewTarget[R]) concerns(event eventstore.Recorded, key string) (bool, error) {
	b, err := t.of(key).batchOf([]eventstore.Recorded{event})
	return err == nil && slices.ContainsFunc(b.rows, func(r *row[R]) bool { return r.key == key }), err
}

// remake folds the events into the row of the key and makes the move.
func (t *viewTarget[R]) remake(ctx context.Context, move Move, key string, events []eventstore.Recorded) error {
	b, err := t.of(key).loaded(ctx, events, key)
	if err != nil {
		return err
	}
	if err := t.fold(b); err != nil {
		return err
	}
	changes, err := t.changes(b)
	if err != nil {
		return err
	}
	return t.sink.Commit(ctx, t.model, move, changes)
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
