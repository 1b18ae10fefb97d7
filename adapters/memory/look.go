package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/projection"
)

// Look implements [projection.Readable].
func (s *Sink) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	if err := ctx.Err(); err != nil {
		return projection.Look{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	look := projection.NewLook(s.builds(model.Name), model.Generation)
	m, ok := s.models[model.Generation]
	if !ok {
		return look, nil
	}
	for n := range look.Followed {
		f := &look.Followed[n]
		f.Parked = slices.SortedFunc(maps.Values(m.sources[f.Applied.Source.Store].parked), byKey)
	}
	if rows.List != nil {
		look.Rows = m.list(model, *rows.List)
	} else {
		look.Rows = m.load(rows.Keys)
	}
	return look, nil
}

func byKey(a, b projection.Parked) int { return cmp.Compare(a.Key, b.Key) }
