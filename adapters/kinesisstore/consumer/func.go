package consumer

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Func is a [Target] that calls a function at least once with each record, in order, and moves the
// checkpoint after it. After a crash, a failure or a change of workers the function gets records again: from the
// checkpoint on, in the same order. For each record once, see [SQL.Target].
type Func struct {
	Checkpoints CheckpointStore
	// Handle gets one or more records of a shard. If it fails, they come again, however often that is.
	Handle func(ctx context.Context, shard string, records []types.Record) error
}

// Checkpoint is that of [Target].
func (f Func) Checkpoint(ctx context.Context, shard string) (Checkpoint, error) {
	return f.Checkpoints.Checkpoint(ctx, shard)
}

// Take is that of [Target].
func (f Func) Take(ctx context.Context, batch Batch) error {
	if len(batch.Records) > 0 {
		// A worker that was paused finds out before it calls the function, not after.
		at, err := f.Checkpoints.Checkpoint(ctx, batch.Shard)
		switch {
		case err != nil:
			return err
		case !at.IsAt(batch.From):
			return ErrLost
		}
		if err := f.Handle(ctx, batch.Shard, batch.Records); err != nil {
			return err
		}
	}
	return f.Checkpoints.Move(ctx, batch.Shard, batch.From, batch.To)
}
