package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/gateway"
	"github.com/leftfold/leftfold/projection"
)

// rebuild builds the gateway's read model anew, as a deploy of a program does that has it in a higher version:
// beside the live one, which readers go on with, until it takes its place. Then the gateway is
// started again with it, and the old one is removed.
type rebuild struct {
	of       projection.Generation
	progress projection.RebuildProgress // while the log was replayed
	before   asked
	began    time.Time

	phase string
	done  *rebuilt
	err   error
}

// rebuilt is what came of a rebuild.
type rebuilt struct {
	Name    string  `json:"name"`
	Version int     `json:"version"`
	Events  int64   `json:"events"` // of the log, that it was built from
	Seconds float64 `json:"seconds"`
	// EventsPerSecond is how fast the log was replayed.
	EventsPerSecond float64 `json:"events_per_second"`
	// Answered and failed are the queries that were asked meanwhile, until the gateway had been started again
	// with it; Again is how many of them found nobody at first, because it was.
	Answered  int64   `json:"queries_answered"`
	Failed    int64   `json:"queries_failed"`
	Again     int64   `json:"queries_asked_again"`
	SlowestMs float64 `json:"slowest_query_ms"`
}

// builds are the rebuilds, of which one is under way at a time.
type builds struct {
	working sync.WaitGroup

	mu  sync.Mutex
	now *rebuild // under way, or the last one
	all []rebuilt
	err []error
}

// begin has a rebuild begin, unless one is under way.
func (b *builds) begin(of projection.Generation, before asked) *rebuild {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != nil && b.now.done == nil && b.now.err == nil {
		return nil
	}
	b.now = &rebuild{of: of, before: before, began: time.Now(), phase: "begins"}
	return b.now
}

// last returns a copy of the rebuild that is under way, or was last.
func (b *builds) last() (r rebuild, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now == nil {
		return r, false
	}
	return *b.now, true
}

func (b *builds) set(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
}

// nextRebuild begins a rebuild, unless one is under way: then it returns nil.
func (d *demo) nextRebuild() (*rebuild, *projection.View[gateway.Detail]) {
	next := gateway.Details(d.parts()["gateway"].Service.Views[0].Generation().Version + 1)
	return d.builds.begin(next.Generation(), d.asker.afresh()), next
}

// rebuild builds the gateway's view in its next version, and returns when the gateway has it.
func (d *demo) rebuild(ctx context.Context, r *rebuild, next *projection.View[gateway.Detail]) {
	d.told.sayf(show.Plain, "%s is built beside the live one", r.of)
	door := d.parts()["gateway"]
	err := d.build(ctx, r, door, next)
	if err == nil {
		err = d.deploy(ctx, r, door)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	asked, took := d.asker.now(), time.Since(r.began)
	d.builds.set(func() {
		if r.err = err; err != nil {
			r.phase = "failed"
			d.builds.err = append(d.builds.err, fmt.Errorf("the rebuild of %s: %w", r.of, err))
			return
		}
		r.phase, r.done = "live", &rebuilt{
			Name: r.of.Name, Version: r.of.Version, Events: int64(r.progress.Done), Seconds: took.Seconds(), EventsPerSecond: r.progress.Rate,
			Answered: asked.answered - r.before.answered, Failed: asked.failed - r.before.failed, Again: asked.again - r.before.again,
			SlowestMs: float64(asked.slowest.Microseconds()) / 1000,
		}
		d.builds.all = append(d.builds.all, *r.done)
	})
	if err != nil {
		d.told.sayf(show.Bad, "the rebuild of %s failed: %v", r.of, err)
		return
	}
	d.told.sayf(show.Good, "%s is live: %d events in %.1f s, %d queries answered meanwhile, %d failed", r.of, r.done.Events, took.Seconds(), r.done.Answered, r.done.Failed)
}

func (d *demo) build(ctx context.Context, r *rebuild, door books.Part, next *projection.View[gateway.Detail]) error {
	return projection.Rebuild(ctx, door.Store, api.Events, projection.Into(door.Store.Sink, next), projection.RebuildOptions{
		TTL: lease,
		OnProgress: func(p projection.RebuildProgress) {
			d.builds.set(func() {
				if p.Phase == projection.Replaying || r.progress.Rate == 0 {
					r.progress = p
				}
				r.progress.Done, r.progress.Total, r.phase = p.Done, p.Total, string(p.Phase)
			})
		},
	})
}

// deploy starts the gateway again with the view that is live now, and removes the one that was.
func (d *demo) deploy(ctx context.Context, r *rebuild, door books.Part) error {
	d.builds.set(func() { r.phase = "deploying" })
	old := door.Service.Views[0].Generation()
	if err := d.become(r.of.Version); err != nil {
		return err
	}
	d.service("gateway").again()
	for {
		err := projection.Retire(ctx, door.Store.Sink, old)
		if err == nil || !errors.Is(err, projection.ErrAttended) {
			break
		}
		if !pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
	return d.asker.answers(ctx)
}
