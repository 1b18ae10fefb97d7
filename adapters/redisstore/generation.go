package redisstore

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// keys are those of a generation, and that of its name, see lua/generation.lua. What stands in
// braces decides on the slot of a Redis Cluster: all generations of a name are in one, so that a
// script can put one in the place of another.
type keys struct{ meta, rows, order, generations string }

func (s *Sink) keysOf(of projection.Generation) keys {
	name := fmt.Sprintf("%s:{%s}:", s.prefix, of.Name)
	generation := fmt.Sprintf("%s%d:", name, of.Version)
	return keys{meta: generation + "meta", rows: generation + "rows", order: generation + "order", generations: name + "generations"}
}

func (k keys) all() []string { return []string{k.meta, k.rows, k.order, k.generations} }

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
