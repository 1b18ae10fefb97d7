package postgres

import (
	"context"
	"iter"

	"github.com/leftfold/leftfold/eventstore"
)

// paged yields the first page and those that next returns, at most limit events (0: all).
// While the caller works on a page the next one is fetched, on a connection that is given
// back as soon as the page is here: the loop body may append, or never come back.
func paged(ctx context.Context, first page, limit int, next func(ctx context.Context, behind place) (page, error)) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		left := limit
		for p := first; ; {
			following := prefetch(ctx, p, left, next)
			for _, e := range p.events {
				if left--; !yield(e, nil) || left == 0 {
					_, _ = following() // its goroutine ends before we do
					return
				}
			}
			if p.last {
				return
			}
			var err error
			if p, err = following(); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
		}
	}
}

// prefetch starts to fetch the page behind p, if there is one and it is wanted, and returns
// how to wait for it.
func prefetch(ctx context.Context, p page, left int, next func(context.Context, place) (page, error)) (wait func() (page, error)) {
	if p.last || left > 0 && len(p.events) >= left {
		return func() (page, error) { return page{last: true}, nil }
	}
	var following page
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		following, err = next(ctx, p.reached)
	}()
	return func() (page, error) {
		<-done
		return following, err
	}
}
