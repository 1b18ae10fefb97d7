package redisstore

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// keys are the three keys of a generation, see lua/generation.lua. What stands in braces
// decides on the slot of a Redis Cluster; the 0 is the number of the only bucket.
type keys struct{ meta, rows, order string }

func (s *Sink) keysOf(of projection.Generation) keys {
	bucket := fmt.Sprintf("%s:{%s:%d:0}:", s.prefix, of.Name, of.Version)
	return keys{meta: bucket + "meta", rows: bucket + "rows", order: bucket + "order"}
}

func (k keys) all() []string { return []string{k.meta, k.rows, k.order} }

// checkpointText returns all of a checkpoint but its source store, generation and first slice,
// which are where it is kept. Lua compares texts: its numbers are exact up to 2^53 only.
func checkpointText(at subscription.Checkpoint) string {
	return fmt.Sprintf("%d %d %d %s %d %d", at.Segment.End, at.Source.Incarnation, at.Anchor.Position, at.Anchor.EventID, at.Fence, at.Parks)
}

func (h shares) parseCheckpoint(first, text string) (subscription.Checkpoint, error) {
	at := subscription.Checkpoint{Generation: h.of.String()}
	var event string
	_, err := fmt.Sscan(first+" "+text, &at.Segment.First, &at.Segment.End, &at.Source.Incarnation, &at.Anchor.Position, &event, &at.Fence, &at.Parks)
	if err == nil {
		err = at.Anchor.EventID.UnmarshalText([]byte(event))
	}
	if err != nil {
		return subscription.Checkpoint{}, fmt.Errorf("%s: the checkpoint %q cannot be read: %w", h.of, text, err)
	}
	at.Source.Store = h.source
	return at, nil
}
