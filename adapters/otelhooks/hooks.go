package otelhooks

import (
	"cmp"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options say whom to tell. The zero value works.
type Options struct {
	// TracerProvider makes the spans. Default: the global one, [otel.GetTracerProvider].
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics. Default: the global one, [otel.GetMeterProvider].
	MeterProvider metric.MeterProvider
}

// Hooks are what the parts of an application are given. They are safe for concurrent use.
type Hooks struct {
	tracer trace.Tracer
	meter  metric.Meter

	commandTook, appendTook, queryTook, queryWaited, queryAge, applyTook metric.Float64Histogram

	dispatchTook, timerLag, publishTook metric.Float64Histogram

	sagaEnded, sagaStuck, published metric.Int64Counter

	appended metric.Int64Histogram
	applied  metric.Int64Counter
	rebuilt  metric.Float64Gauge
}

const scope = "github.com/leftfold/leftfold/adapters/otelhooks"

// New returns hooks. Its error is that of the provider of metrics.
func New(o Options) (*Hooks, error) {
	h := &Hooks{
		tracer: cmp.Or(o.TracerProvider, otel.GetTracerProvider()).Tracer(scope),
		meter:  cmp.Or(o.MeterProvider, otel.GetMeterProvider()).Meter(scope),
	}
	return h, h.instruments()
}

// seconds are the bounds of durations: an append in memory takes microseconds, a query may wait for
// seconds.
var seconds = metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)

func (h *Hooks) instruments() error {
	var failed []error
	duration := func(name, description string) metric.Float64Histogram {
		made, err := h.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), seconds)
		failed = append(failed, err)
		return made
	}
	h.commandTook = duration("leftfold.command.duration", "How long commands took, with all their tries.")
	h.appendTook = duration("leftfold.append.duration", "How long appends took, those that were refused too.")
	h.queryTook = duration("leftfold.query.duration", "How long queries took, with the wait for read models.")
	h.queryWaited = duration("leftfold.query.wait", "How long queries with a token waited for read models.")
	h.applyTook = duration("leftfold.projection.apply.duration", "How long it took to apply a window of the log.")
	h.dispatchTook = duration("leftfold.saga.dispatch.duration", "How long attempts at commands of sagas took.")
	h.publishTook = duration("leftfold.relay.publish.duration", "How long requests of relays to their bus took.")
	return h.counters(failed)
}

func (h *Hooks) counters(failed []error) error {
	var err error
	h.published, err = h.meter.Int64Counter("leftfold.relay.messages", metric.WithUnit("{message}"), metric.WithDescription("Messages that the bus took or did not take, each time that they were offered."))
	failed = append(failed, err)
	h.timerLag, err = h.meter.Float64Histogram("leftfold.saga.timer.lag", metric.WithUnit("s"), metric.WithDescription("How much later than they were due timers were fired."),
		metric.WithExplicitBucketBoundaries(.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600))
	failed = append(failed, err)
	h.sagaEnded, err = h.meter.Int64Counter("leftfold.saga.ended", metric.WithUnit("{instance}"), metric.WithDescription("Instances that ended."))
	failed = append(failed, err)
	h.sagaStuck, err = h.meter.Int64Counter("leftfold.saga.stuck", metric.WithUnit("{instance}"), metric.WithDescription("Instances that got stuck, each time."))
	failed = append(failed, err)
	h.queryAge, err = h.meter.Float64Histogram("leftfold.query.age", metric.WithUnit("s"), metric.WithDescription("How old answers were at most, of which that is known."),
		metric.WithExplicitBucketBoundaries(.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600))
	failed = append(failed, err)
	h.appended, err = h.meter.Int64Histogram("leftfold.append.events", metric.WithUnit("{event}"), metric.WithDescription("Events of an append."),
		metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 10000))
	failed = append(failed, err)
	h.applied, err = h.meter.Int64Counter("leftfold.projection.events", metric.WithUnit("{event}"), metric.WithDescription("Events of the windows that were applied, once for each segment."))
	failed = append(failed, err)
	h.rebuilt, err = h.meter.Float64Gauge("leftfold.projection.rebuild.progress", metric.WithUnit("1"), metric.WithDescription("The share of the log that a generation under construction has applied."))
	return errors.Join(append(failed, err)...)
}
