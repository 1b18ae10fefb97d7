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
	// Progress is called after each window.
	Progress func(Progress)
	// Failed is called with what keeps the worker from a projection as a whole: its sink is away,
	// or refuses, and is tried again; or the projection has ended with an error of
	// [subscription.ErrPermanent], and the others go on.
	Failed func(of Generation, err error)
	// Segment is called when a segment of a projection fails, waits or goes on.
	Segment func(of Generation, report subscription.Report)
	// Rebuild is called while the worker builds a generation that is not live yet.
	Rebuild func(RebuildProgress)
}

// Run works until ctx ends; then it gives its segments back and returns nil. It returns an
// error if it cannot begin (a definition that was changed without a new version, a sink that
// cannot be opened), and when ctx ends the errors of projections that have ended before.
func (w Worker) Run(ctx context.Context) error {
	if err := w.check(); err != nil {
		return err
	}
	tasks := make([]*building, len(w.Tasks))
	for n, task := range w.Tasks {
		var err error
		tasks[n], err = w.open(ctx, task)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is how Run is told to stop, also while the sinks are being opened
		}
		if err != nil {
			return err
		}
	}
	failures := make([]error, len(tasks))
	var all sync.WaitGroup
	for n, task := range tasks {
		all.Go(func() {
			if failures[n] = w.work(ctx, task); failures[n] != nil && w.Hooks.Failed != nil {
				w.Hooks.Failed(w.Tasks[n].generation, failures[n])
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
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

func (w Worker) open(ctx context.Context, task Task) (*building, error) {
	b, err := task.open(ctx, w.Log, w.Events)
	if err != nil {
		return nil, err
	}
	b.id = subscription.NewWorkerID(cmp.Or(w.Name, hostName()))
	return b, nil
}

// engine returns a worker of the task's segments, to be run once.
func (w Worker) engine(o *building) *subscription.Worker {
	task, b := o.task, o.bound
	segments := w.Segments
	if !b.divides {
		segments = 1
	}
	worker := &subscription.Worker{
		Name: task.String(), ID: o.id, Log: w.Log, Query: b.query,
		Leases: b.sink.Leases(task.generation, o.source), Segments: segments, TTL: w.TTL,
		Target:  func(segment subscription.Segment) subscription.Target { return b.target(segment, true) },
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

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "worker" // the rest of the id tells it from others
	}
	return name
}
