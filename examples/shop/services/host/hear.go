package host

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/relay"
)

// listener is another service that is told of events: a [relay.Publisher].
type listener struct{ client *httpapi.Client }

// A request is within the 1 MiB that a body may have.
const (
	heardMessages = 64
	heardBytes    = 900 << 10
)

func (listener) Limits() relay.Limits {
	return relay.Limits{Messages: heardMessages, Bytes: heardBytes, MessageBytes: heardBytes}
}

func (listener) Size(m relay.Message) int {
	text, err := m.CloudEvent()
	if err != nil {
		return heardBytes + 1 // it is refused, with this as the reason
	}
	return len(text) + 1
}

// Publish implements [relay.Publisher].
func (l listener) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	var told api.Hear
	for _, m := range messages {
		text, err := m.CloudEvent()
		if err != nil {
			return nil, err
		}
		told.Events = append(told.Events, text)
	}
	_, err := l.client.Dispatch(ctx, "events.hear", told, messages[0].ID)
	return make([]error, len(messages)), err
}

// hear has the bus put what it is told of into the service's own log, each event once.
func hear(bus *command.Bus, store eventstore.Appender) {
	into := relay.StorePublisher{Store: store}
	command.Handle(bus, "events.hear", func(ctx context.Context, c api.Hear) (eventstore.Receipt, error) {
		messages, err := parse(c.Events)
		if err != nil {
			return eventstore.Receipt{}, err
		}
		results, err := into.Publish(ctx, messages)
		return eventstore.Receipt{}, errors.Join(append(results, err)...)
	})
}

func parse(texts []json.RawMessage) ([]relay.Message, error) {
	messages := make([]relay.Message, len(texts))
	for n, text := range texts {
		var err error
		if messages[n], err = relay.ParseCloudEvent(text); err != nil {
			return nil, err
		}
	}
	return messages, nil
}
