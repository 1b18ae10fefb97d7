package memory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// shared is how far a generation has come with one source store, and who works on it.
type shared struct {
	segments []*lease // in order
	workers  map[subscription.WorkerID]time.Time
}

type lease struct {
	subscription.Checkpoint

	holder subscription.WorkerID
	until  time.Time
	report subscription.Report
}

func newShared(at subscription.Checkpoint) *shared {
	return &shared{segments: []*lease{{Checkpoint: at}}, workers: map[subscription.WorkerID]time.Time{}}
}

func (s *shared) checkpoints() (all []subscription.Checkpoint) {
	for _, l := range s.segments {
		all = append(all, l.Checkpoint)
	}
	return all
}

// find returns the lease of a segment; nil if there is none.
func (s *shared) find(segment subscription.Segment) *lease {
	if s == nil {
		return nil
	}
	for _, l := range s.segments {
		if l.Segment == segment {
			return l
		}
	}
	return nil
}

// held returns the lease if the worker holds it under the fence of the checkpoint.
func (s *shared) held(worker subscription.WorkerID, held subscription.Checkpoint) (*lease, error) {
	l := s.find(held.Segment)
	if l == nil || l.holder != worker || l.Fence != held.Fence || !l.until.After(time.Now()) {
		return nil, subscription.ErrFenced
	}
	return l, nil
}

func (s *shared) roster() (r subscription.Roster) {
	now := time.Now()
	for _, worker := range slices.Sorted(maps.Keys(s.workers)) {
		if s.workers[worker].After(now) {
			r.Workers = append(r.Workers, worker)
		}
	}
	for _, l := range s.segments {
		entry := subscription.Lease{Checkpoint: l.Checkpoint, Report: l.report}
		if l.until.After(now) {
			entry.Holder = l.holder
		}
		r.Segments = append(r.Segments, entry)
	}
	return r
}

// Leases implements [projection.Checkpoints].
func (s *Sink) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return leases{s, of, source}
}

type leases struct {
	sink   *Sink
	of     projection.Generation
	source eventstore.StoreID
}

// with calls f with what is shared; nil if the subscription was never opened.
func (l leases) with(ctx context.Context, f func(*shared) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	model, ok := l.sink.models[l.of]
	if !ok {
		return f(nil)
	}
	return f(model.sources[l.source])
}

func (l leases) Roster(ctx context.Context) (r subscription.Roster, err error) {
	err = l.with(ctx, func(s *shared) error {
		if s != nil {
			r = s.roster()
		}
		return nil
	})
	return r, err
}

func (l leases) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (r subscription.Roster, err error) {
	err = l.with(ctx, func(s *shared) error {
		if s == nil {
			return nil
		}
		until := time.Now().Add(ttl)
		s.workers[worker] = until
		for _, report := range reports {
			if l, err := s.held(worker, subscription.Checkpoint{Segment: report.Segment, Fence: report.Fence}); err == nil {
				l.until, l.report = until, report
			}
		}
		r = s.roster()
		return nil
	})
	return r, err
}

func (l leases) Acquire(ctx context.Context, worker subscription.WorkerID, segment subscription.Segment, ttl time.Duration) (at subscription.Checkpoint, err error) {
	err = l.with(ctx, func(s *shared) error {
		found := s.find(segment)
		switch {
		case found == nil:
			return subscription.ErrNoSegment
		case found.holder != worker && found.until.After(time.Now()):
			return subscription.ErrHeld
		}
		found.Fence++
		found.holder, found.until = worker, time.Now().Add(ttl)
		at = found.Checkpoint
		return nil
	})
	return at, err
}

func (l leases) Release(ctx context.Context, worker subscription.WorkerID, held subscription.Checkpoint) error {
	return l.with(ctx, func(s *shared) error {
		if found, err := s.held(worker, held); err == nil {
			found.until = time.Time{}
		}
		return nil
	})
}

func (l leases) Split(ctx context.Context, worker subscription.WorkerID, held subscription.Checkpoint, at eventstore.Slice) (low, high subscription.Checkpoint, err error) {
	first, second, err := held.Segment.Cut(at)
	if err != nil {
		return low, high, err
	}
	err = l.with(ctx, func(s *shared) error {
		found, err := s.held(worker, held)
		if err != nil {
			return err
		}
		found.Fence++
		found.report = subscription.Report{}
		upper := *found
		found.Segment, upper.Segment = first, second
		n := slices.Index(s.segments, found)
		s.segments = slices.Insert(s.segments, n+1, &upper)
		low, high = found.Checkpoint, upper.Checkpoint
		return nil
	})
	return low, high, err
}

func (l leases) Merge(ctx context.Context, worker subscription.WorkerID, low, high subscription.Checkpoint) (at subscription.Checkpoint, err error) {
	joined, err := low.Segment.Join(high.Segment)
	if err != nil {
		return at, err
	}
	err = l.with(ctx, func(s *shared) error {
		lower, err := s.held(worker, low)
		if err != nil {
			return err
		}
		upper, err := s.held(worker, high)
		if err != nil {
			return err
		}
		if lower.Source != upper.Source || lower.Anchor != upper.Anchor {
			return subscription.ErrStale
		}
		lower.Fence = max(lower.Fence, upper.Fence) + 1
		lower.Segment, lower.report = joined, subscription.Report{}
		s.segments = slices.DeleteFunc(s.segments, func(l *lease) bool { return l == upper })
		at = lower.Checkpoint
		return nil
	})
	return at, err
}
