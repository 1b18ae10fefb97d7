package otelhooks

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/leftfold/leftfold/projection"
)

// Attributes of replicas.
const (
	sinkName    = attribute.Key("leftfold.sink")
	replicaName = attribute.Key("leftfold.replica")
)

// ObserveReplicas registers the metrics of the replicas of a sink, by [projection.Replicas.Status]:
// whether each is in order, how far it lags behind, how many looks it was asked for and how many of
// them it failed; and the same of the primary, but for its lag. They are those of this process,
// which knows them without asking anybody; so let every one that reads observe its own. The name is
// for telling sinks apart. The replicas' own names are the attribute, so give each one a name that
// stays when its process or address does not.
//
// Unregister the registration to end it.
func (h *Hooks) ObserveReplicas(sink string, replicas *projection.Replicas) (metric.Registration, error) {
	inOrder, err1 := h.meter.Int64ObservableGauge("leftfold.replica.in_order", metric.WithUnit("1"),
		metric.WithDescription("1 if the server may be read, 0 if it is put aside."))
	lag, err2 := h.meter.Float64ObservableGauge("leftfold.replica.lag", metric.WithUnit("s"),
		metric.WithDescription("How old what the replica shows was at most when it was probed last; none while nobody knows."))
	looks, err3 := h.meter.Int64ObservableCounter("leftfold.replica.looks", metric.WithUnit("{look}"),
		metric.WithDescription("Looks that the server was asked for."))
	failures, err4 := h.meter.Int64ObservableCounter("leftfold.replica.failures", metric.WithUnit("{look}"),
		metric.WithDescription("Looks that the server failed."))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return h.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		tell := func(s projection.ReplicaStatus) metric.MeasurementOption {
			of := metric.WithAttributes(sinkName.String(sink), replicaName.String(s.Name))
			well := int64(1)
			if s.Err != nil {
				well = 0
			}
			o.ObserveInt64(inOrder, well, of)
			o.ObserveInt64(looks, s.Looks, of)
			o.ObserveInt64(failures, s.Failed, of)
			return of
		}
		status := replicas.Status()
		tell(status.Primary)
		for _, s := range status.Replicas {
			if of := tell(s); s.Lag >= 0 {
				o.ObserveFloat64(lag, s.Lag.Seconds(), of)
			}
		}
		return nil
	}, inOrder, lag, looks, failures)
}
