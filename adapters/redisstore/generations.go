package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// Builds implements [projection.Generations]. One that was lost has no checkpoints.
func (s *Sink) Builds(ctx context.Context, name string) (all []projection.Build, err error) {
	var stages *redis.MapStringStringCmd
	_, err = s.client.TxPipelined(ctx, func(tx redis.Pipeliner) error { // on the master, see inOne
		stages = tx.HGetAll(ctx, s.keysOf(projection.Generation{Name: name}).generations)
		return nil
	})
	if err != nil {
		return nil, s.explained(ctx, projection.Generation{Name: name}, err)
	}
	for text, stage := range stages.Val() {
		version, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("the generations of %s are not readable: %w", name, err)
		}
		b := projection.Build{Generation: projection.Generation{Name: name, Version: version}, Stage: projection.Stage(stage)}
		b.Checkpoints, err = s.checkpoints(ctx, b.Generation)
		switch {
		case errors.Is(err, projection.ErrNotBuilt):
			continue // it was retired meanwhile
		case err != nil && !errors.Is(err, ErrLost):
			return nil, err
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b projection.Build) int { return cmp.Compare(a.Version, b.Version) })
	return all, nil
}

// checkpoints returns those of all segments, by source.
func (s *Sink) checkpoints(ctx context.Context, of projection.Generation) (all []subscription.Checkpoint, err error) {
	fields, _, err := s.fields(ctx, of)
	if err != nil {
		return nil, err
	}
	return s.checkpointsIn(of, fields)
}

// checkpointsIn returns those that the fields of meta have.
func (s *Sink) checkpointsIn(of projection.Generation, fields map[string]string) (all []subscription.Checkpoint, err error) {
	for _, source := range sourcesOf(fields) {
		state, err := shares{s, of, source}.read(fields)
		if err != nil {
			return nil, err
		}
		all = append(all, state.Checkpoints()...)
	}
	return all, nil
}

// sourcesOf returns the sources that have checkpoints in meta, in order.
func sourcesOf(fields map[string]string) (sources []eventstore.StoreID) {
	for name := range fields {
		text, ok := strings.CutPrefix(name, "at:")
		text, _, _ = strings.Cut(text, ":")
		var id eventstore.EventID // which is written in the same way
		if !ok || id.UnmarshalText([]byte(text)) != nil {
			continue
		}
		if source := eventstore.StoreID(id); !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	slices.SortFunc(sources, func(a, b eventstore.StoreID) int { return slices.Compare(a[:], b[:]) })
	return sources
}

// Index implements [projection.Generations]. There is nothing left to do: the entries of a row in
// the order are written with it.
func (s *Sink) Index(ctx context.Context, _ projection.Model) error { return ctx.Err() }

// Promote implements [projection.Generations].
func (s *Sink) Promote(ctx context.Context, of projection.Generation) error {
	for {
		builds, err := s.Builds(ctx, of.Name)
		if err != nil {
			return err
		}
		live, there := projection.LiveBuild(builds)
		version := ""
		if there {
			version = strconv.Itoa(live.Version)
		}
		was := s.keysOf(projection.Generation{Name: of.Name, Version: live.Version}).meta
		err = promoteScript.Run(ctx, s.client, append(s.keysOf(of).all(), was), version).Err()
		if redis.HasErrorPrefix(err, "BEHIND ") {
			// The checkpoints go on: they may not tell any more what the script has seen.
			if err := s.behind(ctx, of); err != nil {
				return err
			}
			continue
		}
		if err = s.explained(ctx, of, err); !errors.Is(err, subscription.ErrStale) {
			s.changed.Notify()
			return err
		}
	}
}

// behind returns how far a generation is behind the live one; nil if it is not any more.
func (s *Sink) behind(ctx context.Context, of projection.Generation) error {
	builds, err := s.Builds(ctx, of.Name)
	if err != nil {
		return err
	}
	_, err = projection.CheckPromotion(builds, of)
	return err
}

// Retire implements [projection.Generations].
func (s *Sink) Retire(ctx context.Context, of projection.Generation) error {
	err := retireScript.Run(ctx, s.client, s.keysOf(of).all()).Err()
	if err == nil {
		s.opened.Delete(of)
	}
	return s.explained(ctx, of, err)
}

// Reset implements [projection.Generations]. If a segment changes meanwhile it begins again.
func (s *Sink) Reset(ctx context.Context, of projection.Generation, source eventstore.Identity) error {
	for {
		fields, _, err := s.fields(ctx, of)
		if err != nil {
			return err
		}
		changes, err := s.rewound(of, fields, source)
		if err != nil {
			return err
		}
		var args []any
		for name, text := range changes {
			args = append(args, name, fields[name], text)
		}
		err = resetScript.Run(ctx, s.client, s.keysOf(of).all(), args...).Err()
		if err = s.explained(ctx, of, err); !errors.Is(err, subscription.ErrStale) {
			s.changed.Notify()
			return err
		}
	}
}

// rewound returns the fields of meta with all segments at position 0; empty: the field goes.
func (s *Sink) rewound(of projection.Generation, fields map[string]string, source eventstore.Identity) (map[string]string, error) {
	all := map[string]string{}
	for name := range fields {
		if strings.HasPrefix(name, "parked:") {
			all[name] = ""
		}
	}
	for _, store := range sourcesOf(fields) {
		h := shares{s, of, store}
		before, err := h.read(fields)
		if err != nil {
			return nil, err
		}
		after := before.Clone()
		after.Rewind(source)
		changes, err := h.texts(leases.Changed(before, after))
		if err != nil {
			return nil, err
		}
		maps.Copy(all, changes)
	}
	return all, nil
}
