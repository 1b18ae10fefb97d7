package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// target publishes windows of the log, what is of the keys of one segment.
//
// It remembers what the bus has taken since the checkpoint, so that a window which fails halfway
// is not published again from the front while this process lives. That memory only saves repeats:
// who forgets it begins at the checkpoint.
type target struct {
	relay   Relay
	segment subscription.Segment
	parks   int64               // of the checkpoint when parked was read
	parked  []projection.Parked // of all segments

	fates map[eventstore.Anchor]*fate
}

// fate is what has become of a message since the checkpoint.
type fate struct {
	taken    bool
	refusals int // that may pass
}

func (r Relay) target(segment subscription.Segment) *target {
	return &target{relay: r, segment: segment, fates: map[eventstore.Anchor]*fate{}}
}

// Checkpoint is asked by CatchUp only; a worker knows where its segments are.
func (t *target) Checkpoint(ctx context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	roster, err := t.relay.Sink.Leases(t.relay.Generation(), source).Roster(ctx)
	switch {
	case err != nil:
		return subscription.Checkpoint{}, err
	case len(roster.Segments) != 1:
		return subscription.Checkpoint{}, fmt.Errorf("%w: the relay is divided into segments: use Run", subscription.ErrPermanent)
	case roster.Segments[0].Holder == subscription.OnPause:
		return subscription.Checkpoint{}, fmt.Errorf("%w: %w", subscription.ErrPermanent, projection.ErrPaused)
	}
	return roster.Segments[0].Checkpoint, nil
}

// Apply publishes the window and then moves the checkpoint, together with the dead letters. It comes to
// the end of the window only when every message was taken, or is a dead letter or behind one; else it
// moves up to the first that was not.
func (t *target) Apply(ctx context.Context, w subscription.Window) error {
	if err := t.refresh(ctx, w.From); err != nil {
		return err
	}
	items, err := t.items(w)
	if err != nil {
		return err
	}
	dead, left, err := t.relay.deliver(ctx, items)
	move := projection.Move{From: w.From, To: w.To}
	if err != nil {
		move.To.Anchor = before(left[0], w)
		dead = slices.DeleteFunc(dead, func(d *item) bool { return d.Position > move.To.Position() })
	}
	if parkErr := t.park(&move, dead); parkErr != nil {
		return parkErr
	}
	if err != nil {
		return errors.Join(err, t.commitPart(ctx, move))
	}
	if err := t.commit(ctx, move); err != nil {
		return err
	}
	if len(dead) > 0 {
		// The subscription knows of no dead letters, and would begin the next window at a checkpoint
		// without them, where their keys go on. It shall read the checkpoint again.
		return subscription.ErrStale
	}
	return nil
}

// before returns the event in front of a message, where the window may be cut.
func before(i *item, w subscription.Window) eventstore.Anchor {
	at := w.From.Anchor
	for _, e := range w.Events {
		if e.Position >= i.Position {
			break
		}
		at = eventstore.Anchor{Position: e.Position, EventID: e.ID}
	}
	return at
}

// park adds the dead letters to the move.
func (t *target) park(move *projection.Move, dead []*item) error {
	for _, d := range dead {
		parked, err := d.parked()
		if err != nil {
			return err
		}
		move.Park = append(move.Park, parked)
	}
	if len(dead) == 0 {
		return nil
	}
	move.To.Parks++
	return t.mayPark(dead)
}

func (t *target) commit(ctx context.Context, move projection.Move) error {
	return t.relay.Sink.Commit(ctx, t.relay.model(), move, nil)
}

// commitPart commits a part of a window, so that who comes next need not repeat it: also if ctx has
// ended because the worker is to stop.
func (t *target) commitPart(ctx context.Context, move projection.Move) error {
	if move.To.Anchor == move.From.Anchor {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return t.commit(ctx, move)
}

// refresh reads what is parked if that has changed. If it changes once more before the commit, the
// checkpoint has changed too, and the commit is refused.
func (t *target) refresh(ctx context.Context, at subscription.Checkpoint) (err error) {
	if t.parks == at.Parks {
		return nil
	}
	if t.parked, err = t.relay.Sink.Parked(ctx, t.relay.Generation(), at.Source.Store); err != nil {
		return fmt.Errorf("read what is parked: %w", err)
	}
	t.parks = at.Parks
	return nil
}

// items returns what is still to be published of a window.
func (t *target) items(w subscription.Window) (items []*item, err error) {
	fates := make(map[eventstore.Anchor]*fate, len(w.Events)) // those of another window are of no use
	for n := range w.Events {
		event := &w.Events[n]
		key, err := t.relay.keyOf(*event)
		if err != nil {
			return nil, err
		}
		if !t.segment.Holds(key) || t.isParked(key, event.Position) {
			continue
		}
		at := eventstore.Anchor{Position: event.Position, EventID: event.ID}
		if fates[at] = cmp.Or(t.fates[at], &fate{}); fates[at].taken {
			continue
		}
		if i := t.relay.item(*event, key, w.To.Source.Store, fates[at]); i != nil {
			items = append(items, i)
		}
	}
	t.fates = fates
	return items, nil
}

func (t *target) isParked(key string, position eventstore.Position) bool {
	return slices.ContainsFunc(t.parked, func(p projection.Parked) bool { return p.Key == key && p.Event.Position <= position })
}

// mayPark returns an error if there would be too many dead letters.
func (t *target) mayPark(dead []*item) error {
	already, most := 0, max(cmp.Or(t.relay.MaxParked, defaultMaxParked), 0)
	for _, p := range t.parked {
		if t.segment.Holds(p.Key) {
			already++
		}
	}
	if already+len(dead) <= most {
		return nil
	}
	d := dead[0]
	return fmt.Errorf("%w: %d keys of segment %s have a dead letter already: event at position %d, key %q: %w",
		subscription.ErrPermanent, already, t.segment, d.Position, d.Key, d.dead)
}

// item is a message on its way.
type item struct {
	Message
	*fate

	size int
	dead error // why it is not offered, or not any more
}

// item returns the message of an event; nil: there is none. What is wrong with the event is the item's.
func (r Relay) item(event eventstore.Recorded, key string, source eventstore.StoreID, f *fate) *item {
	m, publish, err := r.message(event, key, source)
	i := &item{Message: m, fate: f, dead: err}
	switch {
	case i.dead != nil:
		return i
	case !publish:
		return nil
	}
	i.size, i.dead = r.sizeOf(m)
	return i
}

// sizeOf returns how much of the limits the message takes up, and why it cannot be offered.
func (r Relay) sizeOf(m Message) (size int, err error) {
	defer recovered("Publisher", &err)
	size = r.Publisher.Size(m)
	return size, r.Publisher.Limits().tooLarge(m, size)
}

// keyOf returns the key of an event. One without a key stops its segment.
func (r Relay) keyOf(event eventstore.Recorded) (key string, err error) {
	if r.Key == nil {
		return string(event.Stream), nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: event at position %d (%s): %w", subscription.ErrPermanent, event.Position, event.Stream, err)
		}
	}()
	defer recovered("Key", &err)
	return r.Key(event), nil
}

const maxCauseBytes = 2000

// parked returns the dead letter as the sink keeps it.
func (i *item) parked() (projection.Parked, error) {
	if cleanText(i.Key) != i.Key {
		return projection.Parked{}, fmt.Errorf("%w: key %q cannot be set aside: it must be UTF-8 without NUL: %w", subscription.ErrPermanent, i.Key, i.dead)
	}
	cause := i.dead.Error()
	return projection.Parked{
		Key: i.Key, Event: eventstore.Anchor{Position: i.Position, EventID: i.EventID}, Type: i.Type,
		Cause: cleanText(cause[:min(len(cause), maxCauseBytes)]), At: time.Now().UTC().Truncate(time.Microsecond),
	}, nil
}

// cleanText returns text that any sink can store.
func cleanText(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// errStuck: what was tried did not pass. The subscription waits and tries again.
var errStuck = errors.New("the bus has not taken a message")
