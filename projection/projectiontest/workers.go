package projectiontest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// tortureTTL is how long leases last in the torture: paused workers sleep for longer.
const tortureTTL = 500 * time.Millisecond

// WorkUntilKilled is what each process does that start starts for [RunWorkers], with a store
// and a sink that it has opened itself. The number of segments depends on the time, so that
// they are split and merged while workers come and go.
func WorkUntilKilled(ctx context.Context, p Parts) error {
	p.Sink = hesitant{p.Sink}
	return projection.Worker{
		Log: p.Store, Events: tallyEvents, Window: 50, TTL: tortureTTL,
		Segments: 1 + int(time.Now().Unix()/3)%4,
		Tasks:    []projection.Task{projection.Into(p.Sink, tallies), projection.Into(p.Sink, total)},
	}.Run(ctx)
}

// hesitant takes its time before it commits: there a pause and a rival do most harm.
type hesitant struct{ projection.Sink }

func (s hesitant) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	time.Sleep(rand.N(30 * time.Millisecond))
	return s.Sink.Commit(ctx, model, move, changes)
}
