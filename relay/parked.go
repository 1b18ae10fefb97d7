package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// DeadLetter is an event that was not published, and why. Its key is parked: the later events of the
// key wait behind it, because to publish them would break the order. The other keys go on.
type DeadLetter struct {
	projection.Parked

	// Recorded is the event, with its payload, as the log has it.
	Recorded eventstore.Recorded
}

// DeadLetters returns the dead letters, by key.
func (r Relay) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	head, err := r.Log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: read the head: %w", r, err)
	}
	parked, err := r.Sink.Parked(ctx, r.Generation(), head.Store)
	if err != nil {
		return nil, fmt.Errorf("%s: read what is parked: %w", r, err)
	}
	letters := make([]DeadLetter, len(parked))
	for n, p := range parked {
		event, err := r.eventOf(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: dead letter of key %q: %w", r, p.Key, err)
		}
		letters[n] = DeadLetter{p, event}
	}
	return letters, nil
}

// eventOf reads the event that a key is parked at, whatever the relay's query is by now.
func (r Relay) eventOf(ctx context.Context, p projection.Parked) (event eventstore.Recorded, err error) {
	read, err := r.Log.ReadLog(ctx, eventstore.LogQuery{After: p.Event.Position - 1, Through: p.Event.Position})
	if err != nil {
		return event, fmt.Errorf("read the log: %w", err)
	}
	if read.Through != p.Event {
		return event, fmt.Errorf("%w: it is of %s, the log has %s there", eventstore.ErrDiverged, p.Event, read.Through)
	}
	for event, err = range read.Events() {
		if err != nil {
			return event, fmt.Errorf("read the log: %w", err)
		}
	}
	return event, nil
}

// Errors of Retry and Skip, for errors.Is.
var (
	// ErrNotParked: the key has no dead letter at that position; see [Relay.DeadLetters].
	ErrNotParked = errors.New("no dead letter there")
	// ErrStillParked: an event of the key is refused again, this one or a later one, and is the
	// key's dead letter now.
	ErrStillParked = errors.New("the key has a dead letter again")
)

// Retry publishes what a key lacks, from its dead letter on and in order, and then lets the workers go on with
// it; they may run meanwhile. It is for after the cause was mended. A key without a dead letter
// is left as it is. When Retry fails the key stays parked, and some of its messages may have been
// published: call it again.
func (r Relay) Retry(ctx context.Context, key string) error {
	return r.unpark(ctx, key, 0)
}

// Skip is [Relay.Retry] without the event at the position, which is never published: a decision to
// live with that. The later events of the key are. It is [ErrNotParked] unless the key is parked at
// that event.
func (r Relay) Skip(ctx context.Context, key string, at eventstore.Position) error {
	if at <= 0 {
		return fmt.Errorf("%s: skip position %d of key %q: %w", r, at, key, ErrNotParked)
	}
	return r.unpark(ctx, key, at)
}

func (r Relay) unpark(ctx context.Context, key string, skip eventstore.Position) error {
	if err := r.checkPublishes(); err != nil {
		return err
	}
	source, err := r.open(ctx)
	if err != nil {
		return err
	}
	u := unparking{Relay: r, key: key, skip: skip, source: source}
	if err := u.run(ctx); err != nil {
		return fmt.Errorf("%s: key %q: %w", r, key, err)
	}
	return nil
}

// unparking takes up a parked key again. While it publishes, the workers leave the key alone. They may
// move the checkpoint meanwhile, past more events of it; then those follow, and so on until the
// checkpoint stands still for one commit.
type unparking struct {
	Relay

	key     string
	skip    eventstore.Position // 0: nothing
	source  eventstore.StoreID
	parked  projection.Parked
	through eventstore.Anchor // what is published so far
}

func (u *unparking) run(ctx context.Context) error {
	for {
		at, there, err := u.look(ctx)
		switch {
		case err != nil:
			return err
		case !there && u.skip > 0:
			return fmt.Errorf("position %d: %w", u.skip, ErrNotParked)
		case !there:
			return nil
		}
		if u.parked.Event.Position <= at.Position() { // else it was parked since we read the checkpoint
			if err := u.step(ctx, at); !errors.Is(err, subscription.ErrStale) {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// look reads where the key's segment is and at which event the key is parked.
func (u *unparking) look(ctx context.Context) (at subscription.Checkpoint, there bool, err error) {
	roster, err := u.Sink.Leases(u.Generation(), u.source).Roster(ctx)
	if err != nil {
		return at, false, fmt.Errorf("read the segments: %w", err)
	}
	all, err := u.Sink.Parked(ctx, u.Generation(), u.source)
	if err != nil {
		return at, false, fmt.Errorf("read what is parked: %w", err)
	}
	n := slices.IndexFunc(all, func(p projection.Parked) bool { return p.Key == u.key })
	if n < 0 || u.skip > 0 && all[n].Event.Position != u.skip {
		return at, false, nil
	}
	if all[n].Event != u.parked.Event {
		u.through = eventstore.Anchor{}
	}
	u.parked = all[n]
	for _, l := range roster.Segments {
		if l.Segment.Holds(u.key) {
			return l.Checkpoint, true, nil
		}
	}
	return at, false, fmt.Errorf("%w: the relay has never run", projection.ErrNotBuilt)
}

// step publishes up to the checkpoint and takes the key up there, or parks it at the next event that
// is refused.
func (u *unparking) step(ctx context.Context, at subscription.Checkpoint) error {
	dead, err := u.publishTo(ctx, at)
	if err != nil {
		return err
	}
	move := projection.Move{From: at, To: at}
	move.To.Parks++
	if len(dead) == 0 {
		move.Unpark = []string{u.key}
		return u.Sink.Commit(ctx, u.model(), move, nil)
	}
	parked, err := dead[0].parked()
	if err != nil {
		return err
	}
	move.Park = []projection.Parked{parked}
	if err := u.Sink.Commit(ctx, u.model(), move, nil); err != nil {
		return err
	}
	return fmt.Errorf("%w: event at position %d (%s): %w", ErrStillParked, dead[0].Position, dead[0].Type, dead[0].dead)
}

// The most messages, and bytes of them, that an unparking has in memory.
const (
	chunkMessages = 500
	chunkBytes    = 4 << 20
)

// publishTo publishes the key's events up to a checkpoint.
func (u *unparking) publishTo(ctx context.Context, at subscription.Checkpoint) (dead []*item, err error) {
	var chunk []eventstore.Recorded
	if u.through == (eventstore.Anchor{}) {
		event, err := u.eventOf(ctx, u.parked)
		if err != nil {
			return nil, err
		}
		if u.skip == 0 {
			chunk = append(chunk, event)
		}
		u.through = u.parked.Event
	}
	read, err := u.Log.ReadLog(ctx, eventstore.LogQuery{Query: u.Query, After: u.through.Position, Through: at.Position()})
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	if read.After != u.through || read.Through != at.Anchor {
		return nil, fmt.Errorf("%w: it is published to %s and its segment is at %s, which the log does not have any more",
			eventstore.ErrDiverged, u.through, at.Anchor)
	}
	bytes := 0
	for event, err := range read.Events() {
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		key, err := u.keyOf(event)
		if err != nil {
			return nil, err
		}
		if key != u.key {
			continue
		}
		chunk, bytes = append(chunk, event), bytes+len(event.Data)
		if len(chunk) < chunkMessages && bytes < chunkBytes {
			continue
		}
		if dead, err := u.publish(ctx, chunk); err != nil || len(dead) > 0 {
			return dead, err
		}
		chunk, bytes = nil, 0
	}
	if dead, err = u.publish(ctx, chunk); err == nil && len(dead) == 0 {
		u.through = at.Anchor
	}
	return dead, err
}

func (u *unparking) publish(ctx context.Context, events []eventstore.Recorded) (dead []*item, err error) {
	items := make([]*item, 0, len(events))
	for _, event := range events {
		if i := u.item(event, u.key, u.source, &fate{}); i != nil {
			items = append(items, i)
		}
	}
	dead, _, err = u.deliver(ctx, items)
	return dead, err
}
