package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Status returns how the relay does, as a read model's status: how far it has come and how far
// behind it is, who works on which segment and what keeps it, and which keys have dead letters. It
// is read from the sink and the log, so every process sees the same.
func (r Relay) Status(ctx context.Context) (projection.Status, error) {
	if err := r.check(); err != nil {
		return projection.Status{}, err
	}
	return projection.StatusOf(ctx, r.Log, r.Sink, r.Generation())
}

// Pause has the relay publish nothing until [Relay.Resume], in all processes and across restarts.
// A worker that is in the middle of a window goes on with it until it next attends, within a
// third of its TTL; its checkpoint does not move any more, so what it publishes meanwhile repeats later.
func (r Relay) Pause(ctx context.Context) error {
	return projection.Pause(ctx, r.Log, r.Sink, r.Generation())
}

// Resume takes back a [Relay.Pause], and has a relay that failed for good try anew after one.
func (r Relay) Resume(ctx context.Context) error {
	return projection.Resume(ctx, r.Log, r.Sink, r.Generation())
}

// MoveTo has the relay go on after a position, wherever it was, and forget its dead letters: those
// at or before the position are not published any more, those after it are, perhaps again and with the
// same ids. (What a worker has under way then goes on, as in [Relay.Pause].) Position 0 publishes the whole log. It is for a relay that begins with what comes from now on
// (call it with the log's head before the first Run), for one whose bus has lost what it took, and
// after the log was rolled back ([eventstore.ErrDiverged]), when people have decided what is to become of messages
// whose events are gone.
//
// The relay is paused while it is moved, and resumed at the end. If MoveTo fails it may stay paused,
// and publishes nothing until MoveTo has succeeded or somebody resumes it. A position beyond the head is
// [eventstore.ErrAheadOfLog].
func (r Relay) MoveTo(ctx context.Context, after eventstore.Position) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := r.moveTo(ctx, after); err != nil {
		return fmt.Errorf("%s: move to position %d: %w", r, after, err)
	}
	return nil
}

func (r Relay) moveTo(ctx context.Context, after eventstore.Position) error {
	read, err := r.Log.ReadLog(ctx, eventstore.LogQuery{After: after, Limit: 1})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if err := r.Sink.Open(ctx, r.model(), read.Identity); err != nil {
		return fmt.Errorf("open the sink: %w", err)
	}
	leases := r.Sink.Leases(r.Generation(), read.Identity.Store)
	if err := leases.Pause(ctx); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	// Every segment goes to position 0, and from there on. Nobody moves it meanwhile: it is paused.
	if err := r.Sink.Reset(ctx, r.Generation(), read.Identity); err != nil {
		return err
	}
	roster, err := leases.Roster(ctx)
	if err != nil {
		return fmt.Errorf("read the segments: %w", err)
	}
	for _, l := range roster.Segments {
		to := l.Checkpoint
		to.Source, to.Anchor = read.Identity, read.After
		if to == l.Checkpoint {
			continue
		}
		err := r.Sink.Commit(ctx, r.model(), projection.Move{From: l.Checkpoint, To: to}, nil)
		if errors.Is(err, subscription.ErrStale) {
			err = errors.New("somebody else moves the relay at the same time: call MoveTo again")
		}
		if err != nil {
			return err
		}
	}
	return leases.Resume(ctx)
}
