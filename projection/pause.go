package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// ErrPaused ends a [Runner] whose read model was paused; see [Pause]. A [Worker] waits.
var ErrPaused = errors.New("read model is paused; call projection.Resume")

// Pause stops a generation from following the log until [Resume], in all processes. That is kept
// in the sink, so it lasts when every worker starts again. It may be called from any process, and
// again.
//
// When it has returned, nothing is applied any more, also not by a worker that was in the middle
// of a window: its commit is refused, and what it wrote is rolled back. The worker notices when
// it next attends, within a third of its TTL, and a handler may be called until then.
// [StatusOf] says [subscription.Paused] at once. The rows stay as they are and can be read; only
// [Retry] and [Skip], which people call, still change them. A reader that is asked for more than
// there is waits, as for any read model that is behind.
//
// A generation that was never opened in the sink is [ErrNotBuilt].
func Pause(ctx context.Context, log eventstore.LogReader, sink Checkpoints, of Generation) error {
	return steer(ctx, log, sink, of, subscription.Leases.Pause)
}

// Resume takes back a [Pause]: the workers go on from where they were. After a failure for good,
// Pause and Resume have them try anew. On a generation that is not paused it does nothing.
func Resume(ctx context.Context, log eventstore.LogReader, sink Checkpoints, of Generation) error {
	return steer(ctx, log, sink, of, subscription.Leases.Resume)
}

func steer(ctx context.Context, log eventstore.LogReader, sink Checkpoints, of Generation, do func(subscription.Leases, context.Context) error) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	err = do(sink.Leases(of, head.Store), ctx)
	if errors.Is(err, subscription.ErrNoSegment) {
		err = fmt.Errorf("%w: %s", ErrNotBuilt, of)
	}
	return err
}

// undivided returns the checkpoint of a [Runner], which moves the one checkpoint of all keys.
func undivided(ctx context.Context, sink Checkpoints, of Generation, source eventstore.StoreID) (subscription.Checkpoint, error) {
	at, err := sink.Checkpoint(ctx, of, source)
	if none := (subscription.Segment{}); err != nil || at.Segment == none {
		return at, err
	}
	if at.Segment != subscription.Whole {
		return at, fmt.Errorf("%w: the read model is divided into segments: run it by a projection.Worker", subscription.ErrPermanent)
	}
	// The pause has raised the fence: a checkpoint from before it moves no more.
	roster, err := sink.Leases(of, source).Roster(ctx)
	if err != nil || len(roster.Segments) == 0 {
		return at, err
	}
	switch roster.Segments[0].Holder {
	case subscription.OnPause:
		return at, fmt.Errorf("%w: %w", subscription.ErrPermanent, ErrPaused)
	case subscription.Inline:
		return at, ErrInline
	}
	return at, nil
}
