package otelhooks

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/leftfold/leftfold/relay"
)

const relayName = attribute.Key("leftfold.relay")

// Publisher returns a publisher for the relay of the name that counts the messages that the bus took,
// refused or did not take, and tells how long requests take. How far the relay is behind, its dead
// letters and its segments are told by [Hooks.Observe] for its name.
func (h *Hooks) Publisher(name string, next relay.Publisher) relay.Publisher {
	return &publisher{next, h, name}
}

type publisher struct {
	relay.Publisher

	hooks *Hooks
	name  string
}

func (p *publisher) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	start := time.Now()
	results, err := p.Publisher.Publish(ctx, messages)
	of := relayName.String(p.name)
	p.hooks.publishTook.Record(ctx, time.Since(start).Seconds(), metric.WithAttributeSet(ofRequest(err, of)))
	if err != nil { // of none is anything known
		return results, err
	}
	for _, result := range results {
		p.hooks.published.Add(ctx, 1, metric.WithAttributeSet(ofRequest(result, of)))
	}
	return results, nil
}

// ofRequest is [outcome] with the words of relays.
func ofRequest(err error, of attribute.KeyValue) attribute.Set {
	switch {
	case errors.Is(err, relay.ErrRefused):
		return attribute.NewSet(of, errorType.String("refused"))
	case errors.Is(err, relay.ErrThrottled):
		return attribute.NewSet(of, errorType.String("throttled"))
	default:
		return outcome(err, of)
	}
}
