package saga

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Saga is a [Type] of any state.
type Saga interface {
	// Name returns the saga's name.
	Name() string
	// Timers returns the view of the pending timers.
	Timers() *projection.View[Timer]
	// Instances returns the view of the instances.
	Instances() *projection.View[Instance]
	// Timeline returns all that has happened to an instance, see [Type.Timeline].
	Timeline(ctx context.Context, store eventstore.StreamReader, id string) ([]Entry, error)
	// Resume has a stuck instance try again, see [Type.Resume].
	Resume(ctx context.Context, store aggregate.Store, id, note string) error

	stored() []string
	engine(w Worker) engine
}

func (t *Type[S]) engine(w Worker) engine {
	r := t.on(w.Store, w.Now, w.Hooks.Fault)
	r.decided = func(instance string, all []record) { w.decided(t.name, instance, all) }
	return r
}

// Worker runs sagas, together with every other worker on the same sink: start it in as many
// processes as you like. The instances are divided into segments, which the workers share by
// leases that the sink keeps.
//
// Fill it in and call Run.
type Worker struct {
	// Store is where the instances live. Required.
	Store Store
	// Sources are the stores whose events the sagas are told. Default: Store. Whoever runs a saga on
	// the same sources with another Store runs it again: each Store has instances of its own, and all of
	// them send commands. Workers of one saga have one Store and one Sink.
	Sources []eventstore.LogReader
	// Sink keeps checkpoints, and the views of timers and instances. Required.
	Sink projection.Sink
	// Sagas are those to run, each name once. Required. A saga's name is part of the names of
	// what the sink keeps.
	Sagas []Saga
	// Dispatcher carries the commands. Required.
	Dispatcher Dispatcher

	// Name says where the worker runs, for people. Default: the name of the host.
	Name string
	// Segments is how many segments the instances of each saga are divided into, at most 1024.
	// Commands of one segment that are slow hold up the others of the segment. Workers of one saga should
	// say the same. Default: 1.
	Segments int
	// TTL is how long a lease lasts. Default: 10 s.
	TTL time.Duration
	// DispatchTimeout is how long a command may take before it is given up and tried again later. Let it be
	// more than the slowest one needs under load: what needs more is given up each time, and never done. A
	// service that hangs holds up its segment for as long. If it is longer than the TTL, a worker that lost
	// its lease may still wait for a command that another dispatches again, under the same id.
	// Default: half of the TTL.
	DispatchTimeout time.Duration
	// MaxParked is how many instances of a segment may be parked. If more fail the saga is wrong,
	// not some of its instances, and the segment stops. Default: 100.
	MaxParked int
	// Window is the most positions of a log to take in before the checkpoint moves. Default: 500.
	Window int
	// Now is the clock of timers. Workers of one saga should agree on the time. Default: time.Now.
	Now func() time.Time
	// Hooks are told what goes on. Default: nobody is.
	Hooks Hooks
}

// Hooks are called from many goroutines, which they hold up. Those that are nil are not called.
// A panic of one is told to Failed, and holds up nothing; one of Failed itself is dropped.
type Hooks struct {
	// Failed is called with what keeps the worker from a part of a saga, which it tries again.
	Failed func(saga string, err error)
	// Segment is called when a segment of a saga fails, waits or goes on.
	Segment func(saga string, report subscription.Report)
	// Decided is called with what an instance was told and what it decided because of it, after that
	// has been appended by this worker: entries as those of [Type.Timeline], without the versions, a result
	// of a command without the command's name, and another attempt without its payload. It is for counting: a crash loses a call.
	Decided func(saga, instance string, entries []Entry)
	// Fired is called after a timer was fired, with how much later that was than it was due. A timer
	// that is fired again, which has no effect, is told again.
	Fired func(saga string, timer Timer, late time.Duration)
	// Fault is called at each [Point]. It is for tests, which end the process there.
	Fault func(Point)
}

// Run works until ctx ends; then it gives its segments back and returns nil. A store or a sink that
// is away is waited for, see [Hooks].Failed. Only what a deploy has to mend ends Run: an option that
// is wrong, or a view whose definition has changed.
func (w Worker) Run(ctx context.Context) error {
	w, err := w.orDefault()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	for _, part := range w.parts() {
		all.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
				stop()
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

func (w Worker) orDefault() (Worker, error) {
	switch {
	case w.Store == nil || w.Sink == nil || w.Dispatcher == nil || len(w.Sagas) == 0:
		return w, errors.New("saga.Worker: Store, Sink, Dispatcher and Sagas are required")
	case w.Segments < 0 || w.Segments > eventstore.Slices:
		return w, fmt.Errorf("saga.Worker: %d segments: want 1 to %d", w.Segments, eventstore.Slices)
	}
	names := map[string]bool{}
	for _, s := range w.Sagas {
		if names[s.Name()] {
			return w, fmt.Errorf("saga.Worker: saga %s is given twice", s.Name())
		}
		names[s.Name()] = true
	}
	if len(w.Sources) == 0 {
		w.Sources = []eventstore.LogReader{w.Store}
	}
	w.Name = cmp.Or(w.Name, hostName())
	w.Segments = cmp.Or(w.Segments, 1)
	w.TTL = cmp.Or(w.TTL, 10*time.Second)
	w.DispatchTimeout = cmp.Or(w.DispatchTimeout, w.TTL/2)
	w.MaxParked = cmp.Or(w.MaxParked, 100)
	w.Window = cmp.Or(w.Window, 500)
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Hooks.Fault == nil {
		w.Hooks.Fault = func(Point) {}
	}
	return w, nil
}

// parts are what a worker does at the same time.
func (w Worker) parts() (parts []func(context.Context) error) {
	for _, s := range w.Sagas {
		e := s.engine(w)
		for _, source := range w.Sources {
			observing := w.observing(s, e, source)
			parts = append(parts, observing.run)
		}
		dispatching := w.dispatching(s, e)
		timers := &timers{worker: w, saga: s.Name(), engine: e, dispatching: dispatching}
		parts = append(parts, dispatching.run, w.views(s), timers.run)
	}
	return parts
}

// views keeps the lists of timers and instances.
func (w Worker) views(s Saga) func(context.Context) error {
	views := projection.Worker{
		Log: w.Store, Events: records, Name: w.Name, Segments: w.Segments, TTL: w.TTL,
		Tasks: []projection.Task{
			projection.Into(w.Sink, timersOf(s.Name())),
			projection.Into(w.Sink, instancesOf(s.Name())),
		},
		Hooks: projection.Hooks{
			Failed: func(_ projection.Generation, err error) { w.failed(s.Name(), err) },
			Segment: func(_ projection.Generation, report subscription.Report) {
				w.reported(s.Name(), report)
			},
		},
	}
	return views.Run
}

func (w Worker) failed(saga string, err error) {
	if w.Hooks.Failed != nil {
		defer w.recovered(saga, "Failed")
		w.Hooks.Failed(saga, err)
	}
}

// recovered keeps a hook that panics from what it is told of.
func (w Worker) recovered(saga, hook string) {
	if p := recover(); p != nil && hook != "Failed" {
		w.failed(saga, fmt.Errorf("saga %s: the hook %s panics, mend it: %v", saga, hook, p))
	}
}

func (w Worker) decided(saga, instance string, decided []record) {
	if w.Hooks.Decided == nil {
		return
	}
	entries := make([]Entry, len(decided))
	for n, r := range decided {
		entries[n] = entryOf(r)
		entries[n].Kind, _ = records.NameFor(typeOf(r))
	}
	defer w.recovered(saga, "Decided")
	w.Hooks.Decided(saga, instance, withNames(entries))
}

func (w Worker) fired(saga string, timer Timer) {
	if w.Hooks.Fired != nil {
		defer w.recovered(saga, "Fired")
		w.Hooks.Fired(saga, timer, w.Now().Sub(timer.Due))
	}
}

func (w Worker) reported(saga string, report subscription.Report) {
	if w.Hooks.Segment != nil {
		defer w.recovered(saga, "Segment")
		w.Hooks.Segment(saga, report)
	}
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "worker" // the rest of the id tells it from others
	}
	return name
}
