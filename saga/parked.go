package saga

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Parked is an instance that is left alone, from an event on that it cannot be told or a request on
// that cannot be read: its code panics, say, or an event does not decode. The others go on. The timers that it
// has set fire all the same, and what it has requested is dispatched: a timeout does not wait for an event that
// cannot be told.
type Parked struct {
	Saga string
	// Key is the instance's stream; or that of the event, if nobody knows which instance it is of. Each
	// segment parks such an event then, all but one of them with a number behind the stream: unpark all.
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
		e := s.engine(w)
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
	if err := f.hasStill(ctx, parked.Event); err != nil {
		return fmt.Errorf("unpark %s: %w", parked.Key, err)
	}
	for {
		roster, err := f.worker.Sink.Leases(f.model.Generation, head.Store).Roster(ctx)
		if err != nil {
			return fmt.Errorf("read the segments: %w", err)
		}
		at := checkpointOf(roster, parked.Key)
		if at.Position() < parked.Event.Position {
			return fmt.Errorf("unpark %s: %w: list what is parked again", parked.Key, projection.ErrNotBuilt)
		}
		if err := f.catchUp(ctx, roster, parked); err != nil {
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

// hasStill looks whether the log has the event, whether or not the saga is told such events by now.
func (f *following) hasStill(ctx context.Context, event eventstore.Anchor) error {
	read, err := f.log.ReadLog(ctx, eventstore.LogQuery{After: event.Position, Limit: 1})
	switch {
	case errors.Is(err, eventstore.ErrAheadOfLog) || err == nil && read.After != event:
		return fmt.Errorf("%w: it was parked at %s, which the log does not have any more", eventstore.ErrDiverged, event)
	case err != nil:
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// catchUp does what the events ask for that were passed by.
func (f *following) catchUp(ctx context.Context, roster subscription.Roster, parked Parked) error {
	through := checkpointOf(roster, parked.Key).Position()
	read, err := f.log.ReadLog(ctx, eventstore.LogQuery{Query: f.query, After: parked.Event.Position - 1, Through: through})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	all, err := f.worker.Sink.Parked(ctx, f.model.Generation, read.Identity.Store) // behind the roster
	if err != nil {
		return fmt.Errorf("read what is parked: %w", err)
	}
	for m, err := range read.Events() {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		for _, todo := range f.tasks(read.Identity.Store, &m) {
			if !isLacking(todo, parked.Key, roster, all) {
				continue
			}
			if _, err := inOrder(ctx, []task{todo}); err != nil {
				return err
			}
		}
	}
	return nil
}

// isLacking reports whether the key that is unparked lacks what is to do. A key that stands in for a stream lacks
// what its events tell to instances, but for those that will come to the event by themselves: it would be too early
// for them.
func isLacking(todo task, key string, roster subscription.Roster, all []projection.Parked) bool {
	if todo.key == key {
		return true
	}
	if !standsFor(key, todo.event.Stream) {
		return false
	}
	position := todo.event.Position
	return todo.key == "" || position <= checkpointOf(roster, todo.key).Position() &&
		!slices.ContainsFunc(all, func(p projection.Parked) bool { return p.Key == todo.key && p.Event.Position <= position })
}

// checkpointOf returns the checkpoint of the segment that has the key; the zero one if there is none.
func checkpointOf(roster subscription.Roster, key string) (at subscription.Checkpoint) {
	for _, l := range roster.Segments {
		if l.Segment.Holds(key) {
			at = l.Checkpoint
		}
	}
	return at
}
