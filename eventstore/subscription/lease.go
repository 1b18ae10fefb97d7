package subscription

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Leases are kept beside the checkpoints of a subscription, so that several workers share its
// segments. A lease ends by itself, by the clock of its store; that is what keeps the work
// going. What keeps it right is the fence: whoever takes a lease raises the fence in the
// checkpoint, in the same step, and from then on nobody can move the checkpoint under an
// older one, whatever the clocks say.
//
// All of it takes effect at once and is durable when the call returns. An error other than
// those named leaves open whether the call took effect.
type Leases interface {
	// Roster returns who works on what. A subscription that was never opened has no segments.
	Roster(ctx context.Context) (Roster, error)

	// Attend says that the worker is there for a time from now, and no longer if it does not
	// attend again; a time of 0 says that it has gone. It keeps what the reports say of
	// segments that the worker holds under the reports' fences, prolongs those leases for
	// the same time, and returns who works on what. A lease that has ended cannot be
	// prolonged, even if nobody has taken it.
	Attend(ctx context.Context, worker WorkerID, ttl time.Duration, reports []Report) (Roster, error)

	// Acquire takes the lease of a segment that nobody holds, or that the worker holds itself,
	// and returns the checkpoint with its new fence. It is [ErrHeld] while another worker
	// holds it, and [ErrNoSegment] if there is no such segment.
	Acquire(ctx context.Context, worker WorkerID, segment Segment, ttl time.Duration) (Checkpoint, error)

	// Seize takes the leases of all segments, whichever worker holds them, and returns their checkpoints with
	// new fences: nobody moves them until the leases are released or end. It is for a moment in
	// which the subscription must stand still; its workers come back soon after. Without segments
	// it is [ErrNoSegment]. Those that [OnPause] or [Inline] holds stay as they are.
	Seize(ctx context.Context, worker WorkerID, ttl time.Duration) ([]Checkpoint, error)

	// Release ends the lease before its time, if the worker still holds it under the fence.
	Release(ctx context.Context, worker WorkerID, held Checkpoint) error

	// Split cuts a segment that the worker holds under the fence. Both parts begin where the
	// segment was, and the worker holds both under one new fence. Without the lease it is
	// [ErrFenced].
	Split(ctx context.Context, worker WorkerID, held Checkpoint, at eventstore.Slice) (low, high Checkpoint, err error)

	// Merge joins two neighbours that the worker holds under their fences, under a new fence.
	// They must be at one checkpoint, else it is [ErrStale]; without both leases it is
	// [ErrFenced].
	Merge(ctx context.Context, worker WorkerID, low, high Checkpoint) (Checkpoint, error)

	// Pause takes every segment from whoever holds it, under a new fence, and keeps it from all
	// workers until Resume, however long that is. When it has returned, nothing is applied any
	// more, also nothing that was under way. The segments are held by [OnPause] then, and their
	// state is [Paused]. Paused ones stay as they are. It is [ErrNoSegment] if there are none,
	// and [ErrHeld] if [Inline] holds it.
	Pause(ctx context.Context) error

	// Resume gives paused segments back to the workers. The others stay as they are.
	Resume(ctx context.Context) error
}

// OnPause holds the segments of a subscription that is paused.
const OnPause WorkerID = "(paused)"

// Errors of leases, for errors.Is.
var (
	// ErrHeld: another worker holds the segment.
	ErrHeld = errors.New("segment is held by another worker")
	// ErrFenced: the worker does not hold the segment any more, or never has.
	ErrFenced = errors.New("the lease of the segment is lost")
	// ErrNoSegment: the segment was split or merged meanwhile, or the subscription was never
	// opened.
	ErrNoSegment = errors.New("no such segment")
)

// WorkerID names one run of a worker: a program that starts again has another one.
type WorkerID string

// NewWorkerID returns an id that no other worker has. The name is for people, who read it in
// status; the host's name and the process will do.
func NewWorkerID(name string) WorkerID { return WorkerID(name + "/" + rand.Text()[:8]) }

// Inline holds the one segment of a read model that a store applies in the transactions of its
// appends, for as long as it does. So no worker takes it, and those that would work on it wait.
const Inline WorkerID = "inline"

// Roster is who works on a subscription at one moment.
type Roster struct {
	// Workers are those that have attended and whose time has not passed, sorted.
	Workers []WorkerID
	// Segments are all of them, in order.
	Segments []Lease
}

// Lowest returns the checkpoint of the segments that is least far.
func (r Roster) Lowest() Checkpoint {
	all := make([]Checkpoint, len(r.Segments))
	for n, l := range r.Segments {
		all[n] = l.Checkpoint
	}
	return Lowest(all)
}

// Lease is a segment with its checkpoint, and who works on it.
type Lease struct {
	Checkpoint

	Holder WorkerID // empty: nobody, or its time has passed
	Report Report   // the last one; of an earlier holder perhaps
}

// Report is what a worker says of a segment that it holds.
type Report struct {
	Segment Segment
	Fence   int64

	State State
	Note  string              // why, for people
	Event eventstore.Anchor   // at which it fails, if it is one event that does; else zero
	Type  string              // the event's
	Head  eventstore.Position // the log's newest position when it was last read
	// At is when the worker said it, by its own clock; of a segment that fails, since when it has
	// failed so.
	At time.Time
}

// State is how a segment does.
type State string

// The states of a segment.
const (
	Running  State = "running"
	Waiting  State = "waiting"  // after a failure that may pass
	Failed   State = "failed"   // for good: nothing is applied until another worker has it, or Pause and Resume
	Diverged State = "diverged" // the log is no longer the one that the checkpoint speaks of
	Paused   State = "paused"   // by people, until they resume it
)
