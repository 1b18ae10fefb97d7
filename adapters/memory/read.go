package memory

import (
	"context"
	"fmt"
	"iter"

	"github.com/leftfold/leftfold/eventstore"
)

// ReadStream implements [eventstore.StreamReader]. The prefix of the log is fixed
// when the loop starts.
func (s *Store) ReadStream(ctx context.Context, id eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		positions, log, err := s.stream(id, in)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		events(ctx, log, ordered(positions, in.Backwards))(yield)
	}
}

// stream returns the positions that the range selects and the log they point into.
func (s *Store) stream(id eventstore.StreamID, in eventstore.StreamRange) ([]eventstore.Position, []eventstore.Recorded, error) {
	if err := id.Validate(); err != nil {
		return nil, nil, err
	}
	if err := in.Validate(); err != nil {
		return nil, nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.streams[id].deleted {
		return nil, nil, fmt.Errorf("read %s: %w", id, eventstore.ErrStreamDeleted)
	}
	return cut(s.streams[id].positions, in), s.log, nil
}

// cut returns the part of a stream that the range selects, oldest first.
func cut(positions []eventstore.Position, in eventstore.StreamRange) []eventstore.Position {
	through := eventstore.Version(len(positions))
	if in.Through != 0 {
		through = min(in.Through, through)
	}
	positions = positions[min(in.After, through):through]
	if in.Limit == 0 || in.Limit >= len(positions) {
		return positions
	}
	if in.Backwards {
		return positions[len(positions)-in.Limit:]
	}
	return positions[:in.Limit]
}

// ordered yields the positions, the last one first if backwards.
func ordered(positions []eventstore.Position, backwards bool) iter.Seq[eventstore.Position] {
	return func(yield func(eventstore.Position) bool) {
		for n := range positions {
			if backwards {
				n = len(positions) - 1 - n
			}
			if !yield(positions[n]) {
				return
			}
		}
	}
}

// ReadLog implements [eventstore.LogReader].
func (s *Store) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	if err := query.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v := s.snapshot(query.Query)
	head := v.head()
	if query.After > head {
		return nil, fmt.Errorf("read the log after position %d: %w: the head is %d", query.After, eventstore.ErrAheadOfLog, head)
	}
	through := v.end(query)
	return eventstore.NewLogRead(eventstore.LogRead{
		Identity: s.identity, After: v.anchor(query.After), Through: v.anchor(through), Head: head,
	}, events(ctx, v.log, v.matches(query.After, through))), nil
}

// events yields copies of the events at the positions. It needs no lock, see [Store].
func events(ctx context.Context, log []eventstore.Recorded, at iter.Seq[eventstore.Position]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		for position := range at {
			event := log[position-1]
			event.EventData = copied(event.EventData)
			if !yield(event, nil) {
				return
			}
			if err := ctx.Err(); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
		}
	}
}
