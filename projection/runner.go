package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Runner runs projections over one log. Fill it in and call a method; the zero
// options work. Several runners, in several processes, may run the same projection:
// each window takes effect through one of them. A generation that is not the first of its name is
// built beside the live one and then replaces it, as by [Rebuild].
type Runner struct {
	// Log is the log to read. Required.
	Log eventstore.LogReader
	// Events are the event types of the log that the views handle. Required for views.
	Events *codec.Set
	// Tasks are the projections, each name once. Required.
	Tasks []Task

	// Window is the most positions of the log to apply in one transaction. A window of
	// large events ends early, at 16 MiB of payload. Default: 5000.
	Window int
	// OnProgress is called after each window, from one goroutine per projection, which it
	// holds up. Default: nobody is told.
	OnProgress func(Progress)
}

// Progress tells how far a projection has come: the last position applied, and the
// log's newest when it was last read.
type Progress = subscription.Progress

// Run keeps the read models up to date until ctx ends; then it returns nil. If one
// projection fails for good, Run stops the others and returns its error, which names
// the projection and, for an [EventError], the event. What was applied stays applied;
// running again goes on from there.
func (r Runner) Run(ctx context.Context) error {
	subscriptions, err := r.open(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of ctx is how Run is told to stop, also while the sinks are being opened
	}
	if err != nil {
		return err
	}
	return each(ctx, subscriptions, (*running).run)
}

// CatchUp brings the read models up to the head of the log at the time of the call
// and returns. Its errors are those of Run, and the error of ctx if that ends first.
func (r Runner) CatchUp(ctx context.Context) error {
	subscriptions, err := r.open(ctx)
	if err != nil {
		return err
	}
	return each(ctx, subscriptions, (*running).catchUp)
}

// each runs the subscriptions and waits for all of them. The first one that fails stops
// the others, and its error is returned: what the others say then is that they were stopped.
func each(ctx context.Context, subscriptions []*running, run func(*running, context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	var once sync.Once
	var all sync.WaitGroup
	for _, s := range subscriptions {
		all.Go(func() {
			if err := run(s, ctx); err != nil {
				once.Do(func() { failed = err })
				stop()
			}
		})
	}
	all.Wait()
	return failed
}

// running is a projection, and what is to do if its generation is not live yet.
type running struct {
	*subscription.Subscription
	*building
}

func (s *running) run(ctx context.Context) error {
	err := s.becomeLive(ctx)
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // the end of ctx is how it is told to stop
	case err != nil:
		return err
	}
	return s.Run(ctx)
}

func (s *running) catchUp(ctx context.Context) error {
	if err := s.becomeLive(ctx); err != nil {
		return err
	}
	return s.CatchUp(ctx)
}

func (s *running) becomeLive(ctx context.Context) error {
	if s.stage != Building {
		return nil
	}
	return s.build(ctx, s.Run)
}

func (r Runner) open(ctx context.Context) ([]*running, error) {
	if r.Log == nil || len(r.Tasks) == 0 {
		return nil, errors.New("projection.Runner: Log and Tasks are required")
	}
	if err := distinct("projection.Runner", r.Tasks); err != nil {
		return nil, err
	}
	subscriptions := make([]*running, len(r.Tasks))
	for n, task := range r.Tasks {
		b, err := task.resolve(r.Events)
		if err != nil {
			return nil, err
		}
		opened, err := task.open(ctx, r.Log, b)
		if err != nil {
			return nil, err
		}
		target, options := b.target(subscription.Whole, 0), subscription.Options{Window: r.Window, Prepare: b.prepare, OnProgress: r.OnProgress}
		subscriptions[n] = &running{subscription.New(task.String(), r.Log, b.query, target, options), opened}
	}
	return subscriptions, nil
}

// distinct refuses tasks that are empty, and two of one name.
func distinct(who string, tasks []Task) error {
	names := map[string]bool{}
	for _, task := range tasks {
		if task.bind == nil {
			return fmt.Errorf("%s: a task is empty; make one with projection.Into or projection.On", who)
		}
		name := task.generation.Name
		if names[name] {
			return fmt.Errorf("%s: %s is given twice; run another version or another sink of it by one of its own", who, name)
		}
		names[name] = true
	}
	return nil
}
