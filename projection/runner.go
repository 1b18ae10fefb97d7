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
// each window takes effect through one of them.
type Runner struct {
	// Log is the log to read. Required.
	Log eventstore.LogReader
	// Events are the event types of the log that the views handle. Required for views.
	Events *codec.Set
	// Tasks are the projections, each name once. Required.
	Tasks []Task

	// Window is the most positions to apply in one transaction. Default: 5000.
	Window int
	// OnProgress is called after each window, from several goroutines. Default: nobody is told.
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
	err := r.each(ctx, func(ctx context.Context, s *subscription.Subscription) error { return s.Run(ctx) })
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // it ended while the sinks were being opened
	}
	return err
}

// CatchUp brings the read models up to the head of the log at the time of the call
// and returns. Unlike Run it returns the error of ctx if that ends first.
func (r Runner) CatchUp(ctx context.Context) error {
	return r.each(ctx, func(ctx context.Context, s *subscription.Subscription) error { return s.CatchUp(ctx) })
}

func (r Runner) each(ctx context.Context, run func(context.Context, *subscription.Subscription) error) error {
	subscriptions, err := r.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errs := make([]error, len(subscriptions))
	var running sync.WaitGroup
	for n, s := range subscriptions {
		running.Go(func() {
			if errs[n] = run(ctx, s); errs[n] != nil {
				cancel(errs[n]) // one failed: the others end with the context's error
			}
		})
	}
	running.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, ctx.Err()) {
		return cause
	}
	return errors.Join(errs...)
}

func (r Runner) open(ctx context.Context) ([]*subscription.Subscription, error) {
	if r.Log == nil || len(r.Tasks) == 0 {
		return nil, errors.New("projection.Runner: Log and Tasks are required")
	}
	names := map[string]bool{}
	subscriptions := make([]*subscription.Subscription, len(r.Tasks))
	for n, task := range r.Tasks {
		if names[task.generation.Name] {
			return nil, fmt.Errorf("projection.Runner: %s is given twice", task.generation.Name)
		}
		names[task.generation.Name] = true
		s, err := task.open(ctx, r.Log, r.Events, subscription.Options{Window: r.Window, OnProgress: r.OnProgress})
		if err != nil {
			return nil, err
		}
		subscriptions[n] = s
	}
	return subscriptions, nil
}
