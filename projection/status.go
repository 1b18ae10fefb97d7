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
	// Stage is where the generation is in its life; empty: it was never opened.
	Stage Stage
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

// Frozen reports whether nobody works on the read model: it stays where it is. So does the old
// generation when its last worker has gone.
func (s Status) Frozen() bool { return len(s.Workers) == 0 }

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
	builds, err := sink.Builds(ctx, of.Name)
	if err != nil {
		return s, fmt.Errorf("read the generations of %s: %w", of.Name, err)
	}
	build, _ := FindBuild(builds, of)
	s.Stage = build.Stage
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

// StatusOfAll returns how all generations of a name do in a sink, by version: the live one, those
// that are being built, and those that are kept.
func StatusOfAll(ctx context.Context, log eventstore.LogReader, sink Checkpoints, name string) (all []Status, err error) {
	builds, err := sink.Builds(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the generations of %s: %w", name, err)
	}
	for _, b := range builds {
		s, err := StatusOf(ctx, log, sink, b.Generation)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
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
