package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
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

// Publish implements [relay.Publisher]. When the other service refuses a request for good, its messages are
// told one by one: only so is it known which of them it will never take.
func (l listener) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	results := make([]error, len(messages))
	err := l.tell(ctx, messages)
	if !errors.Is(err, relay.ErrRefused) {
		return results, err
	}
	failed := map[string]error{} // by key: nothing is told behind what was not taken
	for n, m := range messages {
		if results[n] = failed[m.Key]; results[n] == nil {
			results[n] = l.tell(ctx, messages[n:n+1])
			failed[m.Key] = results[n]
		}
	}
	return results, nil
}

func (l listener) tell(ctx context.Context, messages []relay.Message) error {
	var told api.Hear
	for _, m := range messages {
		text, err := m.CloudEvent()
		if err != nil {
			return err
		}
		told.Events = append(told.Events, text)
	}
	payload, err := json.Marshal(told)
	if err != nil {
		return err
	}
	err = httpapi.ToService(l.client).Dispatch(ctx, saga.Command{ID: messages[0].ID, Name: "events.hear", Payload: payload})
	if errors.Is(err, saga.ErrRefused) {
		return fmt.Errorf("%w: %w", relay.ErrRefused, err)
	}
	return err
}

// hear has the bus put what it is told of into the service's own log, each event once. What the service
// decides itself it is not told: that would be an event that nobody has decided on.
func hear(bus *command.Bus, store eventstore.Appender, own []string) {
	into := relay.StorePublisher{Store: store}
	command.Handle(bus, "events.hear", func(ctx context.Context, c api.Hear) (eventstore.Receipt, error) {
		messages, err := parse(c.Events, own)
		if err != nil {
			return eventstore.Receipt{}, err
		}
		results, err := into.Publish(ctx, messages)
		err = errors.Join(append(results, err)...)
		if errors.Is(err, relay.ErrRefused) {
			err = fmt.Errorf("%w: %w", command.ErrInvalidCommand, err)
		}
		return eventstore.Receipt{}, err
	})
}

func parse(texts []json.RawMessage, own []string) ([]relay.Message, error) {
	messages := make([]relay.Message, len(texts))
	for n, text := range texts {
		m, err := relay.ParseCloudEvent(text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(own, m.Type) {
			return nil, &eventstore.InvalidError{What: "event to hear", Value: m.Type, Reason: "the service decides on it itself"}
		}
		messages[n] = m
	}
	return messages, nil
}
