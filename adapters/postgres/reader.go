package postgres

import (
	"context"
	"iter"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// reader reads the log, on connections of the store or inside the caller's transaction.
type reader struct {
	sql *statements
	// on runs f on a connection that is busy with nothing else meanwhile.
	on func(ctx context.Context, f func(session) error) error
	// ahead fetches the next page while the caller works on the last one. Not in a
	// transaction: its one connection is the caller's between two pages.
	ahead bool
}

// paged yields the first page and those that next returns, at most limit events (0: all).
// No connection is held while the loop body runs: it may append, or never come back.
func (r reader) paged(ctx context.Context, first page, limit int, next nextPage) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		left := limit
		// The first page is read again by whoever loops again.
		for p, recycle := first, func(page) {}; ; recycle = page.recycle {
			following := r.follow(ctx, p, left, next)
			for _, e := range p.events {
				if left--; !yield(e, nil) || left == 0 {
					following.abandon()
					return
				}
			}
			if p.last {
				return
			}
			fetched, err := following.page()
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			recycle(p)
			p = fetched
		}
	}
}

// nextPage fetches a page.
type nextPage func(ctx context.Context, from resume) (page, error)

// following is the page behind another one: being fetched, or to be fetched when it is
// asked for.
type following struct {
	page    func() (page, error)
	abandon func() // waits for the goroutine that fetches it
}

func (r reader) follow(ctx context.Context, p page, left int, next nextPage) following {
	if !r.ahead || p.last || left > 0 && len(p.events) >= left {
		return following{func() (page, error) { return next(ctx, p.next()) }, func() {}}
	}
	ctx, cancel := context.WithCancel(ctx)
	var fetched page
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		fetched, err = next(ctx, p.next())
	}()
	return following{
		page: func() (page, error) { <-done; return fetched, err },
		abandon: func() {
			// A query that is cancelled costs its connection, and the next read a new one, with
			// all its statements. Most pages are here sooner than that would take.
			late := time.AfterFunc(abandonedPatience, cancel)
			defer late.Stop()
			<-done
		},
	}
}

// abandonedPatience is how long a page that nobody wants any more may take until its query
// is cancelled.
const abandonedPatience = 10 * time.Millisecond
