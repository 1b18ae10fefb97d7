// Package leases is what all sinks have in common that keep leases: the rules by which
// workers share the segments of a subscription. A sink loads the state, lets the rules change
// it, and saves what has changed, in one atomic step.
package leases

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// State is a subscription's segments and workers.
type State struct {
	Segments []Segment                           // in order
	Workers  map[subscription.WorkerID]time.Time // until when each is there
}

// Segment is a segment with its checkpoint and its lease.
type Segment struct {
	subscription.Checkpoint

	Holder subscription.WorkerID
	Until  time.Time // the zero time: it is not held
	Report subscription.Report
}

// Begin is the state of a subscription that was just opened.
func Begin(at subscription.Checkpoint) *State {
	at.Segment = subscription.Whole
	return &State{Segments: []Segment{{Checkpoint: at}}, Workers: map[subscription.WorkerID]time.Time{}}
}

// Covers reports whether each key is of a segment.
func (s *State) Covers() bool {
	end := subscription.Whole.First
	for _, l := range s.Segments {
		if l.Segment.First != end {
			return false
		}
		end = l.Segment.End
	}
	return end == subscription.Whole.End
}

// Checkpoints returns those of the segments.
func (s *State) Checkpoints() []subscription.Checkpoint {
	all := make([]subscription.Checkpoint, len(s.Segments))
	for n := range s.Segments {
		all[n] = s.Segments[n].Checkpoint
	}
	return all
}

// Find returns a segment; nil if there is none.
func (s *State) Find(segment subscription.Segment) *Segment {
	n := slices.IndexFunc(s.Segments, func(l Segment) bool { return l.Segment == segment })
	if n < 0 {
		return nil
	}
	return &s.Segments[n]
}

// Attended reports whether a worker is there.
func (s *State) Attended(now time.Time) bool {
	for _, until := range s.Workers {
		if until.After(now) {
			return true
		}
	}
	return false
}

// Rewind puts every segment at position 0 of the source in its life of now, if it is the one that
// the state is of, under a new fence that nobody holds.
func (s *State) Rewind(source eventstore.Identity) {
	for n := range s.Segments {
		l := &s.Segments[n]
		if l.Source.Store == source.Store {
			l.Source = source
		}
		l.Anchor = eventstore.Anchor{}
		l.Fence++
		l.Parks++
		if l.isSetAside() {
			l.Report.Fence = l.Fence
		} else {
			l.Holder, l.Until, l.Report = "", time.Time{}, subscription.Report{}
		}
	}
}

// isSetAside reports whether it is kept from all workers until somebody says otherwise.
func (l *Segment) isSetAside() bool {
	return l.Holder == subscription.OnPause || l.Holder == subscription.Inline
}

// Clone returns a copy, for [Changed].
func (s *State) Clone() *State {
	return &State{Segments: slices.Clone(s.Segments), Workers: maps.Clone(s.Workers)}
}

// Never is until when a lease lasts that does not end by itself.
var Never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// BeginInline makes one segment of all, at the checkpoint, which [subscription.Inline] holds.
// The fence is above every one that a worker may have: what it has under way is refused.
func (s *State) BeginInline(at subscription.Checkpoint) {
	at.Fence, at.Parks, at.Segment = s.newFence(), 0, subscription.Whole
	for n := range s.Segments {
		at.Parks = max(at.Parks, s.Segments[n].Parks)
	}
	s.Segments = []Segment{{Checkpoint: at, Holder: subscription.Inline, Until: Never}}
}

// EndInline gives the segment to the workers.
func (s *State) EndInline() {
	s.Segments[0].Fence = s.newFence()
	s.Segments[0].Holder, s.Segments[0].Until = "", time.Time{}
}

// IsInline reports whether [subscription.Inline] holds the one segment.
func (s *State) IsInline() bool {
	return len(s.Segments) == 1 && s.Segments[0].Holder == subscription.Inline
}

func (s *State) newFence() (fence int64) {
	for n := range s.Segments {
		fence = max(fence, s.Segments[n].Fence)
	}
	return fence + 1
}

// Store keeps the state of one subscription.
type Store interface {
	// Load returns the state, nil if the subscription was never opened, and the time by the
	// clock of the store.
	Load(ctx context.Context) (*State, time.Time, error)
	// Update loads the state, calls change with it and saves what it has changed, in one atomic
	// step: no commit moves a checkpoint meanwhile. It saves nothing if change fails, and
	// returns its error as it is. It may call change again. It does not call it for a
	// subscription that was never opened, which is [subscription.ErrNoSegment].
	Update(ctx context.Context, change func(state *State, now time.Time) error) error
}

// New returns the leases that a store keeps.
func New(store Store) subscription.Leases { return leases{store} }

type leases struct{ store Store }

func (l leases) Roster(ctx context.Context) (subscription.Roster, error) {
	state, now, err := l.store.Load(ctx)
	if err != nil || state == nil {
		return subscription.Roster{}, err
	}
	return state.roster(now), nil
}

func (s *State) roster(now time.Time) (r subscription.Roster) {
	for _, worker := range slices.Sorted(maps.Keys(s.Workers)) {
		if s.Workers[worker].After(now) {
			r.Workers = append(r.Workers, worker)
		}
	}
	for _, l := range s.Segments {
		entry := subscription.Lease{Checkpoint: l.Checkpoint, Report: l.Report}
		if l.Until.After(now) {
			entry.Holder = l.Holder
		}
		r.Segments = append(r.Segments, entry)
	}
	return r
}

// held returns the segment if the worker holds it under the fence of the checkpoint.
func (s *State) held(worker subscription.WorkerID, at subscription.Checkpoint, now time.Time) (*Segment, error) {
	l := s.Find(at.Segment)
	if l == nil || l.Holder != worker || l.Fence != at.Fence || !l.Until.After(now) {
		return nil, subscription.ErrFenced
	}
	return l, nil
}

// forgetAfter is how long a worker that has gone is kept.
const forgetAfter = time.Hour

func (l leases) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (r subscription.Roster, err error) {
	err = l.store.Update(ctx, func(s *State, now time.Time) error {
		maps.DeleteFunc(s.Workers, func(_ subscription.WorkerID, until time.Time) bool { return until.Add(forgetAfter).Before(now) })
		s.Workers[worker] = now.Add(ttl)
		for _, report := range reports {
			if held, err := s.held(worker, subscription.Checkpoint{Segment: report.Segment, Fence: report.Fence}, now); err == nil {
				held.Until, held.Report = now.Add(ttl), report
			}
		}
		r = s.roster(now)
		return nil
	})
	return r, err
}

func (l leases) Acquire(ctx context.Context, worker subscription.WorkerID, segment subscription.Segment, ttl time.Duration) (at subscription.Checkpoint, err error) {
	err = l.store.Update(ctx, func(s *State, now time.Time) error {
		found := s.Find(segment)
		switch {
		case found == nil:
			return subscription.ErrNoSegment
		case found.Holder != worker && found.Until.After(now):
			return subscription.ErrHeld
		}
		found.Fence++
		found.Holder, found.Until = worker, now.Add(ttl)
		at = found.Checkpoint
		return nil
	})
	return at, err
}

func (l leases) Seize(ctx context.Context, worker subscription.WorkerID, ttl time.Duration) (all []subscription.Checkpoint, err error) {
	err = l.store.Update(ctx, func(s *State, now time.Time) error {
		for n := range s.Segments {
			if held := &s.Segments[n]; !held.isSetAside() {
				held.Fence++
				held.Holder, held.Until = worker, now.Add(ttl)
			}
		}
		all = s.Checkpoints()
		return nil
	})
	return all, err
}

func (l leases) Release(ctx context.Context, worker subscription.WorkerID, at subscription.Checkpoint) error {
	return l.store.Update(ctx, func(s *State, now time.Time) error {
		if found, err := s.held(worker, at, now); err == nil {
			found.Until = time.Time{}
		}
		return nil
	})
}

func (l leases) Split(ctx context.Context, worker subscription.WorkerID, at subscription.Checkpoint, slice eventstore.Slice) (low, high subscription.Checkpoint, err error) {
	first, second, err := at.Segment.Cut(slice)
	if err != nil {
		return low, high, err
	}
	err = l.store.Update(ctx, func(s *State, now time.Time) error {
		found, err := s.held(worker, at, now)
		if err != nil {
			return err
		}
		found.Fence++
		found.Report = subscription.Report{}
		upper := *found
		found.Segment, upper.Segment = first, second
		low, high = found.Checkpoint, upper.Checkpoint
		n := slices.IndexFunc(s.Segments, func(l Segment) bool { return l.Segment == first })
		s.Segments = slices.Insert(s.Segments, n+1, upper)
		return nil
	})
	return low, high, err
}

func (l leases) Merge(ctx context.Context, worker subscription.WorkerID, low, high subscription.Checkpoint) (at subscription.Checkpoint, err error) {
	joined, err := low.Segment.Join(high.Segment)
	if err != nil {
		return at, err
	}
	err = l.store.Update(ctx, func(s *State, now time.Time) error {
		lower, err := s.held(worker, low, now)
		if err != nil {
			return err
		}
		upper, err := s.held(worker, high, now)
		if err != nil {
			return err
		}
		if lower.Source != upper.Source || lower.Anchor != upper.Anchor {
			return subscription.ErrStale
		}
		lower.Fence, lower.Parks = max(lower.Fence, upper.Fence)+1, max(lower.Parks, upper.Parks)
		lower.Segment, lower.Report = joined, subscription.Report{}
		at = lower.Checkpoint
		s.Segments = slices.DeleteFunc(s.Segments, func(l Segment) bool { return l.Segment == high.Segment })
		return nil
	})
	return at, err
}

func (l leases) Pause(ctx context.Context) error {
	return l.store.Update(ctx, func(s *State, now time.Time) error {
		for n := range s.Segments {
			held := &s.Segments[n]
			switch held.Holder {
			case subscription.OnPause:
				continue
			case subscription.Inline: // appends would fail
				return fmt.Errorf("%w: the store applies it in its appends", subscription.ErrHeld)
			}
			held.Fence++
			held.Holder, held.Until = subscription.OnPause, Never
			held.Report = subscription.Report{Segment: held.Segment, Fence: held.Fence, State: subscription.Paused, Head: held.Report.Head, At: now.UTC()}
		}
		return nil
	})
}

func (l leases) Resume(ctx context.Context) error {
	return l.store.Update(ctx, func(s *State, _ time.Time) error {
		for n := range s.Segments {
			if held := &s.Segments[n]; held.Holder == subscription.OnPause {
				held.Holder, held.Until, held.Report = "", time.Time{}, subscription.Report{}
			}
		}
		return nil
	})
}

// Changes are what makes one state of another.
type Changes struct {
	Put     []Segment // by their first slices
	Drop    []eventstore.Slice
	Workers map[subscription.WorkerID]time.Time
	Gone    []subscription.WorkerID
}

// Changed compares two states.
func Changed(before, after *State) Changes {
	c := Changes{Workers: map[subscription.WorkerID]time.Time{}}
	for _, l := range after.Segments {
		if !slices.Contains(before.Segments, l) {
			c.Put = append(c.Put, l)
		}
	}
	for _, l := range before.Segments {
		if !slices.ContainsFunc(after.Segments, func(kept Segment) bool { return kept.Segment.First == l.Segment.First }) {
			c.Drop = append(c.Drop, l.Segment.First)
		}
	}
	for worker, until := range after.Workers {
		if !before.Workers[worker].Equal(until) {
			c.Workers[worker] = until
		}
	}
	for worker := range before.Workers {
		if _, kept := after.Workers[worker]; !kept {
			c.Gone = append(c.Gone, worker)
		}
	}
	return c
}
