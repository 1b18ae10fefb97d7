package otelhooks

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// observedMost is the most rows that a collection counts of each saga and phase, and of its timers.
const observedMost = 10_000

// ObserveSagas registers the gauges of a worker's sagas: the instances that have not ended by phase, the
// timers that are pending and how long the first of them is overdue, and what is parked. Each
// collection asks the store and the sink, so the figures are those of all workers, and hold when none
// runs: let one process observe them. It needs the worker's stores, sink and sagas, and does not run
// it. Counts end at 10,000. While they cannot be asked there is no figure, and OpenTelemetry's error handler is told.
//
// Alarms: an instance that is stuck or parked waits for people; a first timer that is overdue by
// more than some seconds says that no worker fires them.
//
// How far the parts of a saga are behind is told by [Hooks.Observe] for the names <saga>_told (events of
// others), <saga>_sent (commands), <saga>_timers and <saga>_instances.
//
// Unregister the registration to end it.
func (h *Hooks) ObserveSagas(worker saga.Worker) (metric.Registration, error) {
	instances, err1 := h.meter.Int64ObservableGauge("leftfold.saga.instances", metric.WithUnit("{instance}"),
		metric.WithDescription("Instances that have not ended, by phase; those that are stuck wait for people."))
	timers, err2 := h.meter.Int64ObservableGauge("leftfold.saga.timers", metric.WithUnit("{timer}"),
		metric.WithDescription("Timers that are pending."))
	overdue, err3 := h.meter.Float64ObservableGauge("leftfold.saga.timers.overdue", metric.WithUnit("s"),
		metric.WithDescription("For how long the first pending timer is due; 0 if none is."))
	parked, err4 := h.meter.Int64ObservableGauge("leftfold.saga.parked", metric.WithUnit("{key}"),
		metric.WithDescription("Instances that are parked; they wait for people."))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return h.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		failed := []error{observeParked(ctx, worker, o, parked)}
		for _, s := range worker.Sagas {
			of := metric.WithAttributes(sagaName.String(s.Name()))
			for _, phase := range []saga.Phase{saga.Running, saga.Compensating, saga.Stuck} {
				count, err := countIn(ctx, worker.Sink, s, phase)
				if failed = append(failed, err); err == nil {
					o.ObserveInt64(instances, count, of, metric.WithAttributes(sagaPhase.String(string(phase))))
				}
			}
			count, late, err := pending(ctx, worker, s)
			if failed = append(failed, err); err == nil {
				o.ObserveInt64(timers, count, of)
				o.ObserveFloat64(overdue, late.Seconds(), of)
			}
		}
		return errors.Join(failed...)
	}, instances, timers, overdue, parked)
}

func observeParked(ctx context.Context, worker saga.Worker, o metric.Observer, gauge metric.Int64ObservableGauge) error {
	all, err := worker.Parked(ctx)
	if err != nil {
		return err
	}
	counts := map[string]int64{}
	for _, p := range all {
		counts[p.Saga]++
	}
	for _, s := range worker.Sagas {
		o.ObserveInt64(gauge, counts[s.Name()], metric.WithAttributes(sagaName.String(s.Name())))
	}
	return nil
}

// countIn counts the instances of a phase.
func countIn(ctx context.Context, sink projection.Sink, s saga.Saga, phase saga.Phase) (count int64, err error) {
	from := projection.ListQuery{By: "phase", After: &projection.Cursor{Value: string(phase)}, Limit: 1000}
	for row, err := range projection.NewReader(sink, s.Instances()).All(ctx, from) {
		if err != nil {
			return 0, unlessNotBuilt(err)
		}
		if row.Phase != phase || count == observedMost {
			break
		}
		count++
	}
	return count, nil
}

// unlessNotBuilt is for a saga that no worker has run yet: it has nothing.
func unlessNotBuilt(err error) error {
	if errors.Is(err, projection.ErrNotBuilt) {
		return nil
	}
	return err
}

// pending counts the timers, and returns for how long the first one is due.
func pending(ctx context.Context, worker saga.Worker, s saga.Saga) (count int64, late time.Duration, err error) {
	now := time.Now
	if worker.Now != nil {
		now = worker.Now
	}
	for timer, err := range projection.NewReader(worker.Sink, s.Timers()).All(ctx, projection.ListQuery{By: "due", Limit: 1000}) {
		if err != nil {
			return 0, 0, unlessNotBuilt(err)
		}
		if count == 0 {
			late = max(now().Sub(timer.Due), 0)
		}
		if count++; count == observedMost {
			break
		}
	}
	return count, late, nil
}
