package otelhooks

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// Commands is middleware for a command bus. Put it outermost: then its span holds all tries.
func (h *Hooks) Commands() command.Middleware {
	return func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (receipt eventstore.Receipt, err error) {
			info, _ := command.InfoFrom(ctx)
			start := time.Now()
			ctx, span := h.tracer.Start(ctx, "command "+info.Name,
				trace.WithAttributes(commandName.String(info.Name), correlation.String(info.Correlation)))
			defer span.End()
			finished := false
			defer func() {
				if !finished { // it panics
					err = errPanic
				}
				span.SetAttributes(repeated.Bool(receipt.Repeated))
				settle(span, err)
				h.commandTook.Record(ctx, time.Since(start).Seconds(), metric.WithAttributeSet(
					outcome(err, commandName.String(info.Name), repeated.Bool(receipt.Repeated))))
			}()
			receipt, err = next(ctx, cmd)
			finished = true
			return receipt, err
		}
	}
}

// Queries is middleware for a query bus.
func (h *Hooks) Queries() query.Middleware {
	return func(next query.Handler) query.Handler {
		return func(ctx context.Context, question any) (answer any, err error) {
			info, _ := query.InfoFrom(ctx)
			name := queryName.String(info.Name)
			start := time.Now()
			ctx, span := h.tracer.Start(ctx, "query "+info.Name, trace.WithAttributes(name))
			defer span.End()
			finished := false
			defer func() {
				if !finished {
					err = errPanic
				}
				h.answered(ctx, span, name, start, err)
			}()
			answer, err = next(ctx, question)
			finished = true
			return answer, err
		}
	}
}

func (h *Hooks) answered(ctx context.Context, span trace.Span, name attribute.KeyValue, start time.Time, err error) {
	info, _ := query.InfoFrom(ctx)
	told := []attribute.KeyValue{name}
	if err == nil && info.Freshness.Stale() {
		told = append(told, stale.Bool(true))
		span.SetAttributes(stale.Bool(true))
	}
	attributes := metric.WithAttributeSet(outcome(err, told...))
	h.queryTook.Record(ctx, time.Since(start).Seconds(), attributes)
	if len(query.Required(ctx)) > 0 {
		h.queryWaited.Record(ctx, info.Waited.Seconds(), attributes)
		span.SetAttributes(waited.Float64(info.Waited.Seconds()))
	}
	if asOf := info.Freshness.AsOf; err == nil && !asOf.IsZero() {
		old := time.Since(asOf).Seconds()
		h.queryAge.Record(ctx, old, attributes)
		span.SetAttributes(age.Float64(old))
	}
	settle(span, err)
}
