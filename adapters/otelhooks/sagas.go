package otelhooks

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/saga"
)

// Attributes of sagas.
const (
	sagaName  = attribute.Key("leftfold.saga")
	sagaPhase = attribute.Key("leftfold.saga.phase")
)

// Sagas returns hooks for a [saga.Worker] that count the instances that end or get stuck, and tell
// how late timers fire, and call those given. They tell of this worker alone; how many instances there
// are is told by [Hooks.ObserveSagas].
func (h *Hooks) Sagas(hooks saga.Hooks) saga.Hooks {
	decided, fired := hooks.Decided, hooks.Fired
	hooks.Decided = func(name, instance string, entries []saga.Entry) {
		for _, e := range entries {
			switch e.Kind {
			case "saga.ended":
				h.sagaEnded.Add(context.Background(), 1, metric.WithAttributes(sagaName.String(name), sagaPhase.String(string(e.Phase))))
			case "saga.stuck":
				h.sagaStuck.Add(context.Background(), 1, metric.WithAttributes(sagaName.String(name)))
			}
		}
		if decided != nil {
			decided(name, instance, entries)
		}
	}
	hooks.Fired = func(name string, timer saga.Timer, late time.Duration) {
		h.timerLag.Record(context.Background(), late.Seconds(), metric.WithAttributes(sagaName.String(name)))
		if fired != nil {
			fired(name, timer, late)
		}
	}
	return hooks
}

// Dispatcher returns a dispatcher that tells of each attempt at a command, with a span that the
// command's handling is in: whoever sends it on takes that from ctx, see httpapi.Client.Prepare. The span
// continues the trace of the append that began the instance, if its store is one of [Hooks.Store].
func (h *Hooks) Dispatcher(next saga.Dispatcher) saga.Dispatcher {
	return saga.DispatcherFunc(func(ctx context.Context, c saga.Command) (err error) {
		start := time.Now()
		if !trace.SpanContextFromContext(ctx).IsValid() {
			ctx = w3c.Extract(ctx, propagation.MapCarrier{traceparent: c.Began[traceparent]})
		}
		ctx, span := h.tracer.Start(ctx, "dispatch "+c.Name, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(commandName.String(c.Name), commandID.String(c.ID)))
		defer span.End()
		finished := false
		defer func() {
			if !finished { // it panics
				err = errPanic
			}
			settle(span, err)
			h.dispatchTook.Record(ctx, time.Since(start).Seconds(), metric.WithAttributeSet(outcome(err, commandName.String(c.Name))))
		}()
		err = next.Dispatch(ctx, c)
		finished = true
		return err
	})
}
