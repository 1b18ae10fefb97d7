package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// withInline adds the projections that appends apply to a program's models. No part of the program runs them, but they are
// in the sinks that its parts write to, where those can list what they have.
func withInline(ctx context.Context, own []model) (all []model, err error) {
	all = slices.Clone(own)
	seen := map[projection.Lister]bool{}
	for _, m := range own {
		sink, lists := m.sink.(projection.Lister)
		if !lists || seen[sink] {
			continue
		}
		seen[sink] = true
		names, err := sink.Names(ctx)
		if err != nil {
			return nil, fmt.Errorf("list what is kept beside %s: %w", m, err)
		}
		for _, name := range names {
			if slices.ContainsFunc(own, func(m model) bool { return m.Name == name }) {
				continue
			}
			other := model{Generation: projection.Generation{Name: name}, kind: anInline, log: m.log, sink: m.sink}
			applied, err := other.isInline(ctx)
			if err != nil {
				return nil, err
			}
			if applied {
				all = append(all, other)
			}
		}
	}
	return all, nil
}

// isInline reports whether appends to the model's log apply it.
func (m model) isInline(ctx context.Context) (bool, error) {
	generations, err := projection.StatusOfAll(ctx, m.log, m.sink, m.Name)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(generations, func(s projection.Status) bool {
		return slices.ContainsFunc(s.Segments, func(l subscription.Lease) bool { return l.Holder == subscription.Inline })
	}), nil
}
