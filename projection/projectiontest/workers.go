package projectiontest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// tortureTTL is how long leases last in the torture: paused workers sleep for longer.
const tortureTTL = 500 * time.Millisecond

// WorkUntilKilled is what each process does that start starts for [RunWorkers], with a store
// and a sink that it has opened itself. The number of segments depends on the time, so that
// they are split and merged while workers come and go.
func WorkUntilKilled(ctx context.Context, p Parts) error {
	if plant := plants[Bug(os.Getenv(bugVariable))]; plant != nil {
		p.Sink = plant(p.Sink)
	}
	p.Sink = &network{Sink: p.Sink, sent: map[string][]sent{}}
	return projection.Worker{
		Log: p.Store, Events: tallyEvents, Window: 100, TTL: tortureTTL,
		Segments: 1 + int(time.Now().Unix()/3)%4,
		Tasks:    []projection.Task{projection.Into(p.Sink, tallies), projection.Into(p.Sink, total)},
	}.Run(ctx)
}

// network is what may lie between a worker and its sink. It takes its time before a commit: there
// a pause and a rival do most harm. Now and then an old commit of the segment arrives once more,
// when its successor has been made, and must take no effect then.
type network struct {
	projection.Sink

	mu   sync.Mutex
	sent map[string][]sent // the newest two commits of each segment
}

type sent struct {
	move    projection.Move
	changes []projection.Change
}

func (s *network) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	time.Sleep(rand.N(30 * time.Millisecond))
	segment := fmt.Sprint(model.Generation, move.To.Segment)
	s.mu.Lock()
	newest := s.sent[segment]
	s.mu.Unlock()
	if len(newest) == 2 && rand.N(10) == 0 {
		_ = s.Sink.Commit(ctx, model, newest[0].move, newest[0].changes)
	}
	if err := s.Sink.Commit(ctx, model, move, changes); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	newest = append(newest, sent{move, slices.Clone(changes)})
	s.sent[segment] = slices.Clone(newest[max(0, len(newest)-2):])
	return nil
}

// Bug is a bug to plant in the sinks of the workers: [CheckWorkers] must find it.
type Bug string

// The bugs.
const (
	// SecondTransaction writes the rows in one transaction and moves the checkpoint in a second.
	SecondTransaction Bug = "second transaction"
	// BlindCheckpoint moves the checkpoint of a segment wherever it stands.
	BlindCheckpoint Bug = "blind checkpoint"
	// NoFence lets whoever was at the right place move the checkpoint, under any lease.
	NoFence Bug = "no fence"
)

// Bugs are all of them.
var Bugs = []Bug{SecondTransaction, BlindCheckpoint, NoFence}

// Caught returns what run finds, which is to break by a planted bug, and nil if ten runs find nothing: where a
// fault falls is chance, and where processes are slow to begin most fall on one that has done nothing yet.
func Caught(run func() error) error {
	for range 10 {
		if err := run(); err != nil {
			return err
		}
	}
	return nil
}

// bugVariable tells a worker process which bug to plant.
const bugVariable = "LEFTFOLD_PLANTED_BUG"

var plants = map[Bug]func(projection.Sink) projection.Sink{
	SecondTransaction: func(s projection.Sink) projection.Sink { return inTwo{s} },
	BlindCheckpoint: func(s projection.Sink) projection.Sink {
		return misled{s, func(stored subscription.Checkpoint, move *projection.Move) { move.From = stored }}
	},
	NoFence: func(s projection.Sink) projection.Sink {
		return misled{s, func(stored subscription.Checkpoint, move *projection.Move) {
			move.From.Fence, move.To.Fence = stored.Fence, stored.Fence
		}}
	},
}

// inTwo has room for a kill between the rows and the checkpoint.
type inTwo struct{ projection.Sink }

func (s inTwo) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := s.Sink.Commit(ctx, model, projection.Move{From: move.From, To: move.From}, changes); err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond) // the room
	return s.Sink.Commit(ctx, model, move, nil)
}

// misled takes longer still, then looks at the stored checkpoint of the segment and makes its
// move fit.
type misled struct {
	projection.Sink
	fit func(stored subscription.Checkpoint, move *projection.Move)
}

func (s misled) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	ctx = context.WithoutCancel(ctx)           // it is on its way: who has lost the lease cannot call it back
	time.Sleep(rand.N(100 * time.Millisecond)) // room for a pause
	roster, err := s.Leases(model.Generation, move.To.Source.Store).Roster(ctx)
	if err != nil {
		return err
	}
	for _, l := range roster.Segments {
		if l.Segment == move.From.Segment {
			s.fit(l.Checkpoint, &move)
		}
	}
	return s.Sink.Commit(ctx, model, move, changes)
}
