package sqlite

import (
	"iter"

	"github.com/leftfold/leftfold/eventstore"
)

// paged yields the first page and those that next returns, at most limit events (0: all).
// Between two pages it holds nothing but the page, so the loop body may append, or never
// come back.
func paged(first page, limit int, next func(last eventstore.Recorded) (page, error)) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		left := limit
		for p := first; ; {
			for _, e := range p.events {
				if !yield(e, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if p.last {
				return
			}
			following, err := next(p.events[len(p.events)-1])
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			p = following
		}
	}
}

// pageLimit returns how many events to fetch at once if the caller wants no more than limit (0: all).
func pageLimit(limit int) int {
	if limit == 0 {
		return pageEvents
	}
	return min(limit, pageEvents)
}
