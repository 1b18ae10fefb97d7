package projection

import (
	"context"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Status is how a read model does. It is read from the sink and the log, so every process sees
// the same.
type Status struct {
	Generation Generation
	// Head is the log's newest position, Position the one up to which all keys are applied.
	Position, Head eventstore.Position
	// Behind is how long ago the first event was recorded that is not applied everywhere; 0 if
	// there is none. Events of types that the projection does not handle count as well.
	Behind time.Duration
	// Roster is who works on which segment, and what they say of it.
	subscription.Roster
	// Parked are the keys that are left alone.
	Parked []Parked
}

// Lag is how many events the read model is behind.
func (s Status) Lag() int64 { return int64(s.Head - s.Position) }

// StatusOf returns how a generation does in a sink. One that was never opened there has no
// segments.
func StatusOf(ctx context.Context, log eventstore.LogReader, sink Checkpoints, of Generation) (Status, error) {
	s := Status{Generation: of}
	head, err := log.Head(ctx)
	if err != nil {
		return s, fmt.Errorf("read the head: %w", err)
	}
	s.Head = head.Position
	if s.Roster, err = sink.Leases(of, head.Store).Roster(ctx); err != nil {
		return s, fmt.Errorf("read the segments of %s: %w", of, err)
	}
	if s.Parked, err = sink.Parked(ctx, of, head.Store); err != nil {
		return s, fmt.Errorf("read what is parked of %s: %w", of, err)
	}
	s.Position = s.Roster.Lowest().Position()
	if len(s.Segments) == 0 || s.Position >= s.Head {
		return s, nil
	}
	s.Behind, err = since(ctx, log, s.Position)
	return s, err
}

// since returns how long ago the event after a position was recorded.
func since(ctx context.Context, log eventstore.LogReader, position eventstore.Position) (time.Duration, error) {
	read, err := log.ReadLog(ctx, eventstore.LogQuery{After: position, Through: position + 1})
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	for e, err := range read.Events() {
		if err != nil {
			return 0, fmt.Errorf("read the log: %w", err)
		}
		return max(time.Since(e.RecordedAt), 0), nil
	}
	return 0, nil
}
