package memory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// following is how far a generation has come with one source store, and who works on it.
type following struct {
	*leases.State

	parked map[string]projection.Parked
}

// Parked implements [projection.Checkpoints].
func (s *Sink) Parked(ctx context.Context, of projection.Generation, source eventstore.StoreID) (all []projection.Parked, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f := s.following(of, source); f != nil {
		for _, key := range slices.Sorted(maps.Keys(f.parked)) {
			all = append(all, f.parked[key])
		}
	}
	return all, nil
}

// following is for callers that hold the lock; nil: it was never opened.
func (s *Sink) following(of projection.Generation, source eventstore.StoreID) *following {
	model, ok := s.models[of]
	if !ok {
		return nil
	}
	return model.sources[source]
}

// Leases implements [projection.Checkpoints].
func (s *Sink) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return leases.New(leaseStore{s, of, source})
}

type leaseStore struct {
	sink   *Sink
	of     projection.Generation
	source eventstore.StoreID
}

func (l leaseStore) Load(ctx context.Context) (*leases.State, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	l.sink.mu.RLock()
	defer l.sink.mu.RUnlock()
	if f := l.sink.following(l.of, l.source); f != nil {
		return f.Clone(), time.Now(), nil
	}
	return nil, time.Now(), nil
}

func (l leaseStore) Update(ctx context.Context, change func(*leases.State, time.Time) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	f := l.sink.following(l.of, l.source)
	if f == nil {
		return subscription.ErrNoSegment
	}
	changed := f.Clone()
	if err := change(changed, time.Now()); err != nil {
		return err
	}
	f.State = changed
	return nil
}
