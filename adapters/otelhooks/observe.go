package otelhooks

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Observe registers the gauges of the projections with these names: lag, parked keys and
// segments by state. Each collection asks the log and the sink, by [projection.StatusOfAll],
// so the figures are those of all workers, and they grow when no worker runs at all: let one
// process observe them, which need not be a worker. While log or sink cannot be asked there is no
// figure, and OpenTelemetry's error handler is told.
//
// Unregister the registration to end it.
func (h *Hooks) Observe(log eventstore.LogReader, sink projection.Checkpoints, names ...string) (metric.Registration, error) {
	lag, err1 := h.meter.Float64ObservableGauge("leftfold.projection.lag", metric.WithUnit("s"),
		metric.WithDescription("How long ago the first event was recorded that is not applied to every key."))
	behind, err2 := h.meter.Int64ObservableGauge("leftfold.projection.lag.events", metric.WithUnit("{event}"),
		metric.WithDescription("Events of the log that are not applied to every key."))
	parked, err3 := h.meter.Int64ObservableGauge("leftfold.projection.parked", metric.WithUnit("{key}"),
		metric.WithDescription("Keys that are parked."))
	segments, err4 := h.meter.Int64ObservableGauge("leftfold.projection.segments", metric.WithUnit("{segment}"),
		metric.WithDescription("Segments by what their worker last said; free: no worker has them."))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return h.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		var failed []error
		for _, name := range names {
			all, err := projection.StatusOfAll(ctx, log, sink, name)
			failed = append(failed, err)
			for _, s := range all {
				of := metric.WithAttributes(projectionName.String(name), projectionVersion.Int(s.Generation.Version), projectionStage.String(string(s.Stage)))
				o.ObserveFloat64(lag, s.Behind.Seconds(), of)
				o.ObserveInt64(behind, s.Lag(), of)
				o.ObserveInt64(parked, int64(len(s.Parked)), of)
				for state, count := range byState(s.Roster) {
					o.ObserveInt64(segments, count, of, metric.WithAttributes(segmentState.String(state)))
				}
			}
		}
		return errors.Join(failed...)
	}, lag, behind, parked, segments)
}

// byState counts segments.
func byState(roster subscription.Roster) map[string]int64 {
	counts := map[string]int64{}
	for _, l := range roster.Segments {
		switch {
		case l.Holder == "":
			counts["free"]++
		case l.Holder == subscription.OnPause:
			counts[string(subscription.Paused)]++
		case l.Holder == subscription.Inline:
			counts["inline"]++
		case l.Report.Fence != l.Fence || l.Report.State == "":
			counts[string(subscription.Running)]++ // it has not said anything yet
		default:
			counts[string(l.Report.State)]++
		}
	}
	return counts
}
