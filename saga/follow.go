package saga

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// following is a subscription of a worker to one log: to the events that a saga is told, or to the
// commands that it has requested. Its checkpoint is in the sink, as that of a read model without
// rows, and its keys are the streams of instances.
type following struct {
	worker Worker
	saga   string
	id     subscription.WorkerID
	log    eventstore.LogReader
	query  eventstore.Query
	model  projection.Model
	tasks  func(source eventstore.StoreID, event *eventstore.Recorded) []task
}

// modelOf is the read model without rows that has the checkpoint.
func modelOf(saga, part string) projection.Model {
	of := projection.Generation{Name: saga + "_" + part, Version: 1}
	return projection.Model{Generation: of, Hash: "saga " + of.Name}
}

// observing is told the events of a source.
func (w Worker) observing(s Saga, e engine, source eventstore.LogReader) *following {
	return &following{
		worker: w, saga: s.Name(), id: subscription.NewWorkerID(w.Name), log: source,
		query: eventstore.Types(s.stored()...), model: modelOf(s.Name(), "told"),
		tasks: func(store eventstore.StoreID, m *eventstore.Recorded) []task { return tellings(s.Name(), e, store, m) },
	}
}

// tellings returns a task for each instance that an event concerns. If nobody knows which one that
// is, the event is parked under its stream. What the stream has behind it is told all the same: it may
// be of other instances.
func tellings(saga string, e engine, store eventstore.StoreID, m *eventstore.Recorded) []task {
	all, err := e.observations(store, m)
	if err != nil {
		return []task{{event: m, err: err}}
	}
	tasks := make([]task, len(all))
	for n, told := range all {
		stream := eventstore.NewStreamID(saga, told.instance)
		if err := stream.Validate(); err != nil {
			return []task{{event: m, err: &poison{err}}}
		}
		tasks[n] = task{key: string(stream), event: m, do: func(ctx context.Context) error {
			ctx = eventstore.CausedBy(ctx, *m)
			what, err := told.what(ctx)
			if err != nil || what == nil {
				return err
			}
			return e.tell(ctx, told.instance, told.id, what)
		}}
	}
	return tasks
}

// run works on the subscription until ctx ends.
func (f *following) run(ctx context.Context) error {
	source, err := f.open(ctx)
	if err != nil {
		return err
	}
	worker := &subscription.Worker{
		Name: "saga " + f.model.Name, ID: f.id, Log: f.log, Query: f.query,
		Leases: f.worker.Sink.Leases(f.model.Generation, source), Segments: f.worker.Segments, TTL: f.worker.TTL,
		Target:   f.target,
		Options:  subscription.Options{Window: f.worker.Window},
		OnError:  func(err error) { f.worker.failed(f.saga, err) },
		OnReport: func(report subscription.Report) { f.worker.reported(f.saga, report) },
	}
	return worker.Run(ctx)
}

func (f *following) target(segment subscription.Segment) subscription.Target {
	return &target{
		sink: f.worker.Sink, model: f.model, segment: segment, tasks: f.tasks,
		maxParked: f.worker.MaxParked, fault: f.worker.Hooks.Fault, now: f.worker.Now,
	}
}

// The pauses between two tries to reach a store or a sink.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// open makes the sink ready as soon as that is possible.
func (f *following) open(ctx context.Context) (eventstore.StoreID, error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		source, err := f.tryOpen(ctx)
		lasting := errors.Is(err, projection.ErrDefinitionChanged) || errors.Is(err, projection.ErrOutdated) || errors.Is(err, subscription.ErrPermanent)
		if err == nil || ctx.Err() != nil || lasting {
			return source, err
		}
		f.worker.failed(f.saga, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (f *following) tryOpen(ctx context.Context) (eventstore.StoreID, error) {
	head, err := f.log.Head(ctx)
	if err != nil {
		return eventstore.StoreID{}, fmt.Errorf("saga %s: read the head: %w", f.saga, err)
	}
	if err := f.worker.Sink.Open(ctx, f.model, head.Identity); err != nil {
		return eventstore.StoreID{}, fmt.Errorf("saga %s: open the sink: %w", f.saga, err)
	}
	return head.Store, nil
}
