package otelhooks

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Projections returns hooks for a [projection.Worker] that tell of each window, and call those
// given.
func (h *Hooks) Projections(hooks projection.Hooks) projection.Hooks {
	window, rebuild := hooks.Window, hooks.Rebuild
	hooks.Window = func(ctx context.Context, of projection.Generation, w subscription.Window) (context.Context, func(error)) {
		ctx, done := h.window(ctx, of, w)
		if window == nil {
			return ctx, done
		}
		ctx, also := window(ctx, of, w)
		return ctx, func(err error) {
			also(err)
			done(err)
		}
	}
	hooks.Rebuild = func(p projection.RebuildProgress) {
		h.progress(p)
		if rebuild != nil {
			rebuild(p)
		}
	}
	return hooks
}

// window begins the span of a window, and returns what ends it.
func (h *Hooks) window(ctx context.Context, of projection.Generation, w subscription.Window) (context.Context, func(error)) {
	start, span := time.Now(), trace.Span(nil)
	if len(w.Events) > 0 { // else there would be one each time that the log grows
		ctx, span = h.tracer.Start(ctx, "apply "+of.Name, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithLinks(links(w.Events)...),
			trace.WithAttributes(messagingSystem.String(leftfold), messagingType.String(operationOfConsumer), messagingOperation.String("apply"),
				messagingConsumers.String(of.Name), messagingCount.Int(len(w.Events)), messagingPartition.String(w.From.Segment.String()),
				projectionVersion.Int(of.Version), position.Int64(int64(w.To.Position()))))
	}
	return ctx, func(err error) {
		name := projectionName.String(of.Name)
		if span != nil {
			settle(span, err)
			span.End()
		}
		if span != nil || err != nil {
			h.applyTook.Record(ctx, time.Since(start).Seconds(), metric.WithAttributeSet(outcome(err, name)))
		}
		if err == nil {
			h.applied.Add(ctx, int64(len(w.Events)), metric.WithAttributes(name))
		}
	}
}

func (h *Hooks) progress(p projection.RebuildProgress) {
	share := 1.0
	if p.Phase != projection.Switched && p.Total > 0 {
		share = min(float64(p.Done)/float64(p.Total), 1)
	}
	h.rebuilt.Record(context.Background(), share, metric.WithAttributes(
		projectionName.String(p.Generation.Name), projectionVersion.Int(p.Generation.Version)))
}
