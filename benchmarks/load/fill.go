package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
)

// Fill appends so many events by the store's own path, 100 an append, each append to a
// stream of its own.
func Fill(ctx context.Context, store system.Store, salt string, events int) (*stats.Sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	start := time.Now()
	var all sync.WaitGroup
	for range seedWriters {
		all.Go(func() {
			for n := next.Add(1) - 1; n*longEnough < int64(events) && ctx.Err() == nil; n = next.Add(1) - 1 {
				batch := make([]system.Event, longEnough)
				for i := range batch {
					batch[i] = system.NewEvent(system.NewRef(firstSeedWriter, n*longEnough+int64(i)))
				}
				if _, err := store.Append(ctx, system.Append{Stream: streamName(salt, "-", n), Events: batch}); err != nil {
					cancel(fmt.Errorf("fill the log: %w", err))
				}
			}
		})
	}
	all.Wait()
	appended := min(next.Load()*longEnough, int64(events))
	return &stats.Sample{Ops: appended / longEnough, Events: appended, Elapsed: time.Since(start)}, context.Cause(ctx)
}
