package aggregate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Bounds of what is done for snapshots.
const (
	defaultEvery     = 100  // events between two snapshots of a stream
	defaultVerified  = 0.01 // share of loads
	waitingSnapshots = 64   // streams whose snapshot is to be taken; more are left to a later load
	findPatience     = time.Second
)

// Snapshots takes snapshots of long streams in the background, and gives repositories the ones
// that it has; see [Repository.WithSnapshots]. It may serve repositories of many types.
//
// A snapshot is never trusted for itself. It is used if its fold has the shape of ours, if it was
// taken in this life of this log, and if the log has the event that it ends with: all of that is
// checked in each load. One that is lost, unreadable or of no use costs a fold of the stream.
//
// What is left is a fold whose body was changed without its version ([Type.FoldVersion]), or that
// is not a pure function. So a share of the loads folds from the beginning and compares.
type Snapshots struct {
	store    SnapshotStore
	every    int
	verified float64
	failed   func(eventstore.StreamID, error)

	waiting chan takingSnapshot

	mu         sync.Mutex
	queued     map[eventstore.StreamID]bool
	distrusted map[Shape]bool
}

type takingSnapshot struct {
	stream eventstore.StreamID
	take   func(context.Context) error
}

// SnapshotOptions are those of [NewSnapshots]. The zero value works.
type SnapshotOptions struct {
	// Every is how many events a load has to fold before a snapshot is taken. Default: 100.
	Every int
	// Verified is the share of loads, up to 1, that fold from the beginning and compare. Below 0:
	// none. Default: 0.01.
	Verified float64
	// Failed is told what is wrong with snapshots, from any goroutine: a store of them that fails, a
	// state that cannot be encoded, a [SnapshotMismatchError]. Commands go on all the same, without a
	// snapshot. Default: they are logged by slog.Default().
	Failed func(stream eventstore.StreamID, err error)
}

// SnapshotMismatchError says that a snapshot is not what the stream folds to now. The fold's body
// was changed without raising [Type.FoldVersion], or the fold depends on more than its events.
// Other states of this type, from snapshots that were not compared, may have been wrong.
//
// From then on this process folds every stream of the type from the beginning, decides on that, and
// replaces the snapshots that it finds wrong.
type SnapshotMismatchError struct {
	Stream  eventstore.StreamID
	Version eventstore.Version
	Shape   Shape
}

func (e *SnapshotMismatchError) Error() string {
	return fmt.Sprintf("the snapshot of %s at version %d (shape %s) is not what its events fold to: raise the number in FoldVersion if the fold was changed, and make sure that it is a pure function",
		e.Stream, e.Version, e.Shape)
}

// NewSnapshots returns snapshots that are kept in the store. They are taken while
// [Snapshots.Run] runs.
func NewSnapshots(store SnapshotStore, o SnapshotOptions) *Snapshots {
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	if o.Verified == 0 {
		o.Verified = defaultVerified
	}
	if o.Failed == nil {
		o.Failed = func(stream eventstore.StreamID, err error) {
			slog.Default().Error("leftfold: a snapshot is of no use", "stream", string(stream), "error", err)
		}
	}
	return &Snapshots{
		store: store, every: o.Every, verified: o.Verified, failed: o.Failed,
		waiting: make(chan takingSnapshot, waitingSnapshots),
		queued:  map[eventstore.StreamID]bool{}, distrusted: map[Shape]bool{},
	}
}

// Run takes the snapshots that are due, one after the other, until ctx ends; then it returns nil.
// Without it snapshots are used and none is taken. Several may run at a time.
func (s *Snapshots) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case next := <-s.waiting:
			s.take(ctx, next)
		}
	}
}

func (s *Snapshots) take(ctx context.Context, next takingSnapshot) {
	defer s.done(next.stream)
	err := next.take(ctx)
	if err != nil && ctx.Err() == nil && !errors.Is(err, eventstore.ErrStreamDeleted) {
		s.report(next.stream, fmt.Errorf("take a snapshot: %w", err))
	}
}

// due has a snapshot of the stream taken. If too many are waiting, a later load will ask again.
func (s *Snapshots) due(stream eventstore.StreamID, take func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued[stream] {
		return
	}
	select {
	case s.waiting <- takingSnapshot{stream, take}:
		s.queued[stream] = true
	default:
	}
}

func (s *Snapshots) done(stream eventstore.StreamID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queued, stream)
}

// find returns a snapshot, or none: a command does not fail because its snapshot did.
func (s *Snapshots) find(ctx context.Context, key SnapshotKey) (Snapshot, bool) {
	patient, cancel := context.WithTimeout(ctx, findPatience)
	defer cancel()
	snapshot, found, err := s.store.FindSnapshot(patient, key)
	if err != nil && ctx.Err() == nil {
		s.report(key.Stream, fmt.Errorf("find the snapshot: %w", err))
	}
	return snapshot, found && err == nil
}

func (s *Snapshots) report(stream eventstore.StreamID, err error) { s.failed(stream, err) }

// verifies draws whether a load compares.
func (s *Snapshots) verifies(shape Shape) bool {
	s.mu.Lock()
	distrusted := s.distrusted[shape]
	s.mu.Unlock()
	return distrusted || rand.Float64() < s.verified
}

func (s *Snapshots) distrust(shape Shape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.distrusted[shape] = true
}

// WithSnapshots returns a repository like r whose loads begin with a snapshot, where there is one,
// and that has snapshots taken of streams that were long to load; with nil, one without snapshots.
// The type must have a [Type.FoldVersion]; WithSnapshots panics if not.
//
// Each load asks for the head, for its identity, and for the snapshot, before it reads what came
// behind it. [Repository.LoadAt] and [Repository.LoadAsOf] fold from the beginning.
func (r *Repository[S, E]) WithSnapshots(s *Snapshots) *Repository[S, E] {
	if r.typ.shape == (Shape{}) {
		panic(fmt.Sprintf("aggregate: the type %q has no FoldVersion, so its states cannot be kept in snapshots", r.typ.category))
	}
	with := *r
	with.snapshots = s
	return &with
}

// offer has a snapshot taken if the state was long to fold. It is loaded anew for that, in the
// background: from the log, so that no event of a transaction under way is in it, and apart from
// whatever a decision does to its state.
func (r *Repository[S, E]) offer(stream eventstore.StreamID, k *kept[S]) {
	if r.snapshots == nil || r.elsewhere || k.folded < r.snapshots.every {
		return
	}
	r.snapshots.due(stream, func(ctx context.Context) error { return r.takeSnapshot(ctx, stream) })
	k.folded = 0
}

func (r *Repository[S, E]) takeSnapshot(ctx context.Context, stream eventstore.StreamID) (err error) {
	defer noPanic(&err) // of the fold; a command would meet it too, and end alone
	life, err := lifeOf(ctx, r.store, stream)
	if err != nil {
		return err
	}
	k, err := r.loadNewest(ctx, r.store, stream, life)
	if err != nil || k.folded < r.snapshots.every {
		return err // or it was taken meanwhile
	}
	state, err := encodeState(&k.state)
	if err != nil {
		return err
	}
	return r.snapshots.store.PutSnapshot(ctx, SnapshotKey{k.life.Store, stream, r.typ.shape}, Snapshot{
		Incarnation: k.life.Incarnation, Version: k.version, EventID: k.last, State: state,
	})
}
