package kinesisstore

import (
	"cmp"
	"context"
	"time"
)

// How often who waits looks at the checkpoint, from the first pause to the last. An indexer of the same
// process wakes it.
const (
	minLook = 2 * time.Millisecond
	maxLook = 25 * time.Millisecond
)

// await returns once the index has passed a place. If ctx ends first, it returns its error, and when the
// indexer of the shard last gave a sign of life.
func (x *Index) await(ctx context.Context, at place) (beat time.Time, err error) {
	for pause := minLook; ; pause = min(2*pause, maxLook) {
		moved := x.moved.Next() // before the look: what moves after it is not missed
		to, heard, failed := x.progress(ctx, at.shard)
		if failed == nil {
			beat = heard
			if to.Ended || compareSequences(to.Sequence, at.sequence) >= 0 {
				return beat, nil
			}
		} // an index that cannot be read now may be read again
		timer := time.NewTimer(pause)
		select {
		case <-moved:
			timer.Stop()
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return beat, ctx.Err()
		}
	}
}

// compareSequences compares two sequence numbers of a shard: decimal numbers of up to 128 digits, without
// zeros in front; none is before all.
func compareSequences(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
