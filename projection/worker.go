package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Worker keeps read models up to date together with other workers, in this process and in
// others: start it in as many processes as you like. Each projection is divided by key into
// segments, and the workers share them by leases that the sinks keep. A worker that dies is
// replaced within [Worker].TTL, and whatever becomes of it, each event takes effect once.
//
// A generation that is not the first of its name is built beside the live one and then replaces it,
// as by [Rebuild]; workers of the old program meanwhile keep theirs up to date.
//
// A key of a View whose row cannot be made is parked, with the cause, and the others go on;
// see [Retry] and [Skip]. A segment that fails otherwise is tried again for as long as that
// may help. What failed for good waits for people: see [Status].
//
// Fill it in and call Run.
type Worker struct {
	// Log is the log to read. Required.
	Log eventstore.LogReader
	// Events are the event types of the log that the views handle. Required for views.
	Events *codec.Set
	// Tasks are the projections, each name once. Required. Workers may have different ones:
	// each does what it has.
	Tasks []Task

	// Name says where the worker runs, for people. Default: the name of the host.
	Name string
	// Segments is how many segments each projection is divided into, at most 1024: as many as
	// processors can work on one. Workers of one projection should say the same. A [Handler]
	// without a Key has one. Default: 1.
	Segments int
	// MaxParked is how many keys of a segment may be parked. If more fail the projection is wrong,
	// not some of its keys, and the segment stops. Negative: none is parked. Default: 100.
	MaxParked int
	// TTL is how long a lease lasts. Default: 10 s.
	TTL time.Duration
	// Window is the most positions of the log to apply in one transaction, and ten times as many
	// while a generation is built. A window of large events ends early, at 16 MiB of payload.
	// Default: 5000.
	Window int
	// Hooks are told what goes on. Default: nobody is.
	Hooks Hooks
}

// Hooks are called from many goroutines, which they hold up. Those that are nil are not called.
type Hooks struct {
	// Window is called before a window of the log is applied to a segment, each time that is
	// tried. It is applied under the context that Window returns, which handlers see, and the
	// function that it returns is called with the outcome.
	Window func(ctx context.Context, of Generation, window subscription.Window) (context.Context, func(error))
	// Progress is called after each window.
	Progress func(Progress)
	// Failed is called with what keeps the worker from a projection as a whole: its store or its
	// sink is away, or refuses, and is tried again; or the projection has ended with an error of
	// [subscription.ErrPermanent], or [ErrOutdated], and the others go on; or with
	// [ErrDefinitionChanged], and Run with it.
	Failed func(of Generation, err error)
	// Segment is called when a segment of a projection fails, waits or goes on.
	Segment func(of Generation, report subscription.Report)
	// Rebuild is called while the worker builds a generation that is not live yet.
	Rebuild func(RebuildProgress)
}

// Run works until ctx ends; then it gives its segments back and returns nil, or the errors of
// projections that have ended before. A store or a sink that is away at the beginning is waited
// for, see [Hooks].Failed, and the other projections begin. Only what a deploy has to mend ends Run
// at once: an option or a definition that is wrong, or [ErrDefinitionChanged].
func (w Worker) Run(ctx context.Context) error {
	if err := w.check(); err != nil {
		return err
	}
	tasks := make([]bound, len(w.Tasks))
	for n, task := range w.Tasks {
		var err error
		if tasks[n], err = task.resolve(w.Events); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failures := make([]error, len(tasks))
	var all sync.WaitGroup
	for n, task := range w.Tasks {
		all.Go(func() {
			failures[n] = w.work(ctx, task, tasks[n])
			if errors.Is(failures[n], ErrDefinitionChanged) {
				stop()
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// work keeps one projection.
func (w Worker) work(ctx context.Context, task Task, bound bound) error {
	b, err := w.open(ctx, task, bound)
	if err == nil {
		err = w.keep(ctx, b)
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of ctx is how Run is told to stop
	}
	w.failed(task, err)
	return err
}

func (w Worker) failed(task Task, err error) {
	if err != nil && w.Hooks.Failed != nil {
		w.Hooks.Failed(task.generation, err)
	}
}

// The pauses between two tries to open a sink.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// open opens the sink as soon as that is possible.
func (w Worker) open(ctx context.Context, task Task, bound bound) (*building, error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		b, err := task.open(ctx, w.Log, bound)
		switch {
		case err == nil:
			b.id = w.newID()
			return b, nil
		case ctx.Err() != nil, errors.Is(err, ErrDefinitionChanged), errors.Is(err, ErrOutdated), errors.Is(err, subscription.ErrPermanent):
			return nil, err
		}
		w.failed(task, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (w Worker) check() error {
	if w.Log == nil || len(w.Tasks) == 0 {
		return errors.New("projection.Worker: Log and Tasks are required")
	}
	if w.Segments < 0 || w.Segments > eventstore.Slices {
		return fmt.Errorf("projection.Worker: %d segments: want 1 to %d", w.Segments, eventstore.Slices)
	}
	return distinct("projection.Worker", w.Tasks)
}

// newID returns an id for one projection of the worker.
func (w Worker) newID() subscription.WorkerID {
	return subscription.NewWorkerID(cmp.Or(w.Name, hostName()))
}

// engine returns a worker of the task's segments, to be run once.
func (w Worker) engine(o *building) *subscription.Worker {
	task, b := o.task, o.bound
	segments, maxParked := w.Segments, max(cmp.Or(w.MaxParked, defaultMaxParked), 0)
	if !b.divides {
		segments = 1
	}
	worker := &subscription.Worker{
		Name: task.String(), ID: o.id, Log: w.Log, Query: b.query,
		Leases: b.sink.Leases(task.generation, o.source), Segments: segments, TTL: w.TTL,
		Target: func(segment subscription.Segment) subscription.Target {
			return w.Hooks.watch(task.generation, b.target(segment, maxParked))
		},
		Options: subscription.Options{Window: w.Window, Prepare: b.prepare, OnProgress: w.Hooks.Progress},
	}
	if tell := w.Hooks.Failed; tell != nil {
		worker.OnError = func(err error) { tell(task.generation, err) }
	}
	if tell := w.Hooks.Segment; tell != nil {
		worker.OnReport = func(report subscription.Report) { tell(task.generation, report) }
	}
	return worker
}

// watch has the hook told of each window that the target applies.
func (h Hooks) watch(of Generation, target subscription.Target) subscription.Target {
	if h.Window == nil {
		return target
	}
	return watched{target, of, h.Window}
}

type watched struct {
	subscription.Target

	of     Generation
	window func(context.Context, Generation, subscription.Window) (context.Context, func(error))
}

func (t watched) Apply(ctx context.Context, window subscription.Window) error {
	ctx, done := t.window(ctx, t.of, window)
	err := t.Target.Apply(ctx, window)
	done(err)
	return err
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "worker" // the rest of the id tells it from others
	}
	return name
}
