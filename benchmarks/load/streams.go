// Package load puts a store under a load and measures it: writers, readers, a replay, a
// live reader that must not lose anything, and the limits that raw COPY sets.
//
// Loads are closed: each writer or reader starts its next operation when the last one has
// ended. A rate counts completed operations over the time from the start to the last
// completion, so operations that outlast the window are neither lost nor free.
package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/benchmarks/system"
)

// streamName returns a name of 24 characters in no order: names that rose would all fall
// on the last page of the index, which is cheaper than life.
func streamName(parts ...any) string {
	sum := sha256.Sum256(fmt.Append(nil, parts...))
	return "order-" + hex.EncodeToString(sum[:9])
}

// Shape is a number of streams of one length.
type Shape struct{ Streams, Length int }

// Events returns the number of events in streams of the shapes.
func Events(shapes ...Shape) int {
	sum := 0
	for _, s := range shapes {
		sum += s.Streams * s.Length
	}
	return sum
}

// stream returns the name of one of the shape's streams.
func (s Shape) stream(n int) string { return streamName("seeded", s.Length, "-", n) }

// Seeds come from writers that no load has, so that their refs are nobody else's.
const (
	seedWriters     = 32
	firstSeedWriter = 1_000_000
	seedChunk       = 25
)

// Seed fills streams of the shape. They grow in turns by 25 events, so that a stream's
// rows lie scattered over the table as they would after months.
func Seed(ctx context.Context, store system.Store, shape Shape) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for w := range seedWriters {
		all.Go(func() {
			if err := seedStreams(ctx, store, shape, w); err != nil {
				cancel(fmt.Errorf("seed streams of %d events: %w", shape.Length, err))
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// seedStreams fills every seedWriters-th stream of the shape.
func seedStreams(ctx context.Context, store system.Store, shape Shape, writer int) error {
	refs := int64(0)
	for version := 0; version < shape.Length; version += seedChunk {
		for n := writer; n < shape.Streams; n += seedWriters {
			events := make([]system.Event, min(seedChunk, shape.Length-version))
			for i := range events {
				events[i] = system.NewEvent(system.NewRef(firstSeedWriter+writer, refs))
				refs++
			}
			if _, err := store.Append(ctx, system.Append{Stream: shape.stream(n), Expected: int64(version), Events: events}); err != nil {
				return err
			}
		}
	}
	return nil
}
