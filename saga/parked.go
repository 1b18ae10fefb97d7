package saga

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Parked is an instance that is left alone, from an event on that it cannot be told or a request on
// that cannot be read: its code panics, say, or an event does not decode. The others go on.
type Parked struct {
	Saga string
	// Key is the instance's stream; or that of the event, if nobody knows which instance it is of.
	projection.Parked

	of *following
}

// Parked returns what is parked of the worker's sagas.
func (w Worker) Parked(ctx context.Context) (all []Parked, err error) {
	w, err = w.orDefault()
	if err != nil {
		return nil, err
	}
	for _, f := range w.followings() {
		head, err := f.log.Head(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the head: %w", err)
		}
		parked, err := w.Sink.Parked(ctx, f.model.Generation, head.Store)
		if err != nil {
			return nil, fmt.Errorf("read what is parked: %w", err)
		}
		for _, p := range parked {
			all = append(all, Parked{f.saga, p, f})
		}
	}
	return all, nil
}

func (w Worker) followings() (all []*following) {
	for _, s := range w.Sagas {
		e := s.engine(w.Store, w.Now, w.Hooks.Fault)
		for _, source := range w.Sources {
			all = append(all, w.observing(s, e, source))
		}
		all = append(all, w.dispatching(s, e))
	}
	return all
}

// Unpark does for the instance what it lacks, from the event that it was parked at up to where its
// segment is by now, and takes it up again: after a deploy that knows what to do with the event. It
// returns the error of what fails now, and the instance stays parked then; and
// [eventstore.ErrDiverged] if the log does not have the event any more. It may be called from any
// process, while workers run.
func (w Worker) Unpark(ctx context.Context, parked Parked) error {
	f := parked.of
	if f == nil {
		return errors.New("unpark: it was not returned by Worker.Parked")
	}
	head, err := f.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	for {
		at, err := f.checkpointOf(ctx, head.Store, parked.Key)
		if err != nil {
			return err
		}
		if err := f.catchUp(ctx, at, parked); err != nil {
			return fmt.Errorf("unpark %s: %w", parked.Key, err)
		}
		move := projection.Move{From: at, To: at, Unpark: []string{parked.Key}}
		move.To.Parks++
		// Whoever has moved the checkpoint meanwhile has passed more of its events by. What was
		// done is done: to do it again takes no effect.
		if err := f.worker.Sink.Commit(ctx, f.model, move, nil); !errors.Is(err, subscription.ErrStale) || ctx.Err() != nil {
			return err
		}
	}
}

// catchUp does what the events ask for that were passed by.
func (f *following) catchUp(ctx context.Context, at subscription.Checkpoint, parked Parked) error {
	read, err := f.log.ReadLog(ctx, eventstore.LogQuery{Query: f.query, After: parked.Event.Position - 1, Through: at.Position()})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	first := true
	for m, err := range read.Events() {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if first && m.ID != parked.Event.EventID {
			break
		}
		first = false
		for _, todo := range f.tasks(read.Identity.Store, &m) {
			if todo.key != parked.Key && string(m.Stream) != parked.Key {
				continue
			}
			if _, err := inOrder(ctx, []task{todo}); err != nil {
				return err
			}
		}
	}
	if first {
		return fmt.Errorf("%w: it was parked at %s, which the log does not have any more", eventstore.ErrDiverged, parked.Event)
	}
	return nil
}

// checkpointOf returns the checkpoint of the segment that has the key.
func (f *following) checkpointOf(ctx context.Context, source eventstore.StoreID, key string) (subscription.Checkpoint, error) {
	roster, err := f.worker.Sink.Leases(f.model.Generation, source).Roster(ctx)
	if err != nil {
		return subscription.Checkpoint{}, fmt.Errorf("read the segments: %w", err)
	}
	for _, l := range roster.Segments {
		if l.Segment.Holds(key) {
			return l.Checkpoint, nil
		}
	}
	return subscription.Checkpoint{}, fmt.Errorf("%w: %s", projection.ErrNotBuilt, f.model.Generation)
}
