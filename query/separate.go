package query

import (
	"context"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// separate returns a context that requires the same as ctx, and keeps apart what its readers see:
// that is adopted if their answer is used. nil if nothing is asked.
func separate(ctx context.Context) (context.Context, *requirement) {
	required := requirementIn(ctx).copied()
	if required == nil {
		return ctx, nil
	}
	return context.WithValue(ctx, requirementKey{}, required), required
}

// copied returns a requirement of the same, of which nothing has been met.
func (r *requirement) copied() *requirement {
	if r == nil {
		return nil
	}
	return &requirement{
		name: r.name, outer: r.outer.copied(), tokens: r.tokens, lenient: r.lenient, wait: r.wait, orStale: r.orStale,
		bounded: r.bounded, maxStale: r.maxStale, heads: r.heads, bounds: r.bounds,
		opened: map[string]bool{}, met: map[eventstore.StoreID]bool{},
	}
}

// adopt takes over what readers have seen apart, if their answer is used, and how long they have
// waited.
func adopt(ctx context.Context, apart *requirement, used bool) {
	if apart == nil {
		return
	}
	apart.mu.Lock()
	opened, waited, excused := slices.Collect(maps.Keys(apart.opened)), apart.waited, apart.excused
	seen := report{slices.Clone(apart.report.seen), slices.Clone(apart.report.newest)}
	apart.mu.Unlock()
	for r := requirementIn(ctx); r != nil; r = r.outer {
		r.mu.Lock()
		r.waited += waited
		r.excused = r.excused || used && excused
		r.mu.Unlock()
		if !used {
			continue
		}
		for _, model := range opened {
			r.open(model)
		}
		r.include(seen.seen, seen.newest)
	}
}
