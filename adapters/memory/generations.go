package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Builds implements [projection.Generations].
func (s *Sink) Builds(ctx context.Context, name string) ([]projection.Build, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.builds(name), nil
}

// Names implements [projection.Lister].
func (s *Sink) Names(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for of := range s.models {
		names = append(names, of.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// builds is for callers that hold the lock.
func (s *Sink) builds(name string) (all []projection.Build) {
	for of, m := range s.models {
		if of.Name != name {
			continue
		}
		build := projection.Build{Generation: of, Stage: m.stage}
		for _, f := range m.sources {
			build.Checkpoints = append(build.Checkpoints, f.Checkpoints()...)
		}
		all = append(all, build)
	}
	slices.SortFunc(all, func(a, b projection.Build) int { return a.Version - b.Version })
	return all
}

// first is the stage of a generation that is opened for the first time.
func (s *Sink) first(of projection.Generation) (projection.Stage, error) {
	live, there := projection.LiveBuild(s.builds(of.Name))
	switch {
	case !there:
		return projection.Live, nil
	case of.Version < live.Version:
		return "", fmt.Errorf("%w: %s", projection.ErrOutdated, live.Generation)
	default:
		return projection.Building, nil
	}
}

// Index implements [projection.Generations]. There are no indexes.
func (s *Sink) Index(ctx context.Context, _ projection.Model) error { return ctx.Err() }

// Promote implements [projection.Generations].
func (s *Sink) Promote(ctx context.Context, of projection.Generation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	live, err := projection.CheckPromotion(s.builds(of.Name), of)
	if err != nil {
		return err
	}
	if was, there := s.models[live.Generation]; there {
		was.stage = projection.Kept
	}
	s.models[of].stage = projection.Live
	s.changed.Notify()
	return nil
}

// Retire implements [projection.Generations].
func (s *Sink) Retire(ctx context.Context, of projection.Generation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, there := s.models[of]
	if !there {
		return nil
	}
	if m.stage == projection.Live {
		return projection.ErrLive
	}
	for _, f := range m.sources {
		if f.Attended(time.Now()) {
			return projection.ErrAttended
		}
	}
	delete(s.models, of)
	return nil
}

// Reset implements [projection.Generations].
func (s *Sink) Reset(ctx context.Context, of projection.Generation, source eventstore.Identity) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.models[of]; !there {
		return fmt.Errorf("%w: %s", projection.ErrNotBuilt, of)
	}
	s.rewind(of, source)
	return nil
}

// rewind is for callers that hold the lock.
func (s *Sink) rewind(of projection.Generation, source eventstore.Identity) {
	m := s.models[of]
	m.rows = map[string]projection.Row{}
	for _, f := range m.sources {
		f.Rewind(source)
		clear(f.parked)
	}
	s.changed.Notify()
}

// Restart implements [projection.TxSink].
func (s *Sink) Restart(ctx context.Context, model projection.Model, source eventstore.Identity, empty func(ctx context.Context, tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &Tx{sink: s, writes: map[string]map[string]any{}}
	if err := empty(ctx, tx); err != nil {
		return err
	}
	m, there := s.models[model.Generation]
	if !there {
		m = newReadModel()
		s.models[model.Generation] = m
	}
	m.hash, m.stage = model.Hash, projection.Live
	m.follow(model.Generation, source)
	for of := range s.models {
		if of.Name == model.Name && of != model.Generation {
			delete(s.models, of)
		}
	}
	s.rewind(model.Generation, source)
	tx.commit()
	return nil
}
