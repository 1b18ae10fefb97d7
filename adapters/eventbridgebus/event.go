package eventbridgebus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

// Handler takes in one event in the JSON that EventBridge delivers, as the body of a queue's message or
// as the payload of a Lambda function. With nil the event has had its effect, durably, and may be
// forgotten; with an error it must come again. [Inbox] and [Doorbell] have it as Handle.
type Handler func(ctx context.Context, event json.RawMessage) error

// Event is what EventBridge delivers.
type Event struct {
	Message relay.Message
	// Replay is the name of the replay that delivers it; empty: it is live.
	Replay string
}

// ParseEvent reads the JSON of an event. What no relay has published is [eventstore.ErrInvalid].
func ParseEvent(text []byte) (Event, error) {
	var delivered struct {
		Replay string          `json:"replay-name"`
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(text, &delivered); err != nil {
		return Event{}, &eventstore.InvalidError{What: "event of EventBridge", Reason: err.Error()}
	}
	m, err := relay.ParseCloudEvent(delivered.Detail)
	if err != nil {
		return Event{}, fmt.Errorf("detail: %w; let the rule select events by the source of their publisher", err)
	}
	return Event{Message: m, Replay: delivered.Replay}, nil
}
