package redisstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
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

// fieldOf returns the field of meta with the checkpoint of a source.
func fieldOf(source eventstore.StoreID) string { return "at:" + source.String() }

// checkpointText returns all of a checkpoint but its source store and generation, which are
// where it is kept. Lua compares texts: its numbers are exact up to 2^53 only.
func checkpointText(at subscription.Checkpoint) string {
	return fmt.Sprintf("%d %d %s %d", at.Source.Incarnation, at.Anchor.Position, at.Anchor.EventID, at.Fence)
}

func parseCheckpoint(text string, of projection.Generation, source eventstore.StoreID) (at subscription.Checkpoint, err error) {
	broken := func() (subscription.Checkpoint, error) {
		return subscription.Checkpoint{}, fmt.Errorf("%s: the checkpoint %q is not readable", of, text)
	}
	parts := strings.Split(text, " ")
	if len(parts) != 4 {
		return broken()
	}
	incarnation, err1 := strconv.ParseInt(parts[0], 10, 32)
	position, err2 := strconv.ParseInt(parts[1], 10, 64)
	err3 := at.Anchor.EventID.UnmarshalText([]byte(parts[2]))
	fence, err4 := strconv.ParseInt(parts[3], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return broken()
	}
	at.Source = eventstore.Identity{Store: source, Incarnation: int32(incarnation)}
	at.Anchor.Position, at.Fence, at.Generation = eventstore.Position(position), fence, of.String()
	return at, nil
}
