package eventbridgebus

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/leftfold/leftfold/relay"
)

// Entry is a message as it goes to a bus. The classic bus has no use for the last two fields, the custom
// event bus of 2026 has: it orders by group, and drops what it has had within five minutes.
type Entry struct {
	Source     string
	DetailType string // the event's type
	Detail     string // the message as a CloudEvent, see [relay.Message.CloudEvent]
	Time       time.Time

	EventGroupID    string // the message's key
	DeduplicationID string // the message's id
}

// NewEntry returns the entry of a message. It is the same each time.
func NewEntry(source string, m relay.Message) (Entry, error) {
	detail, err := m.CloudEvent()
	return Entry{
		Source: source, DetailType: m.Type, Detail: string(detail), Time: m.RecordedAt,
		EventGroupID: m.Key, DeduplicationID: m.ID,
	}, err
}

// Size returns how many bytes of a request the entry takes up: 14 for the time, and its texts. The rule is
// AWS's, see "Calculating PutEvents event entry size" in the guide of EventBridge.
func (e Entry) Size() int { return 14 + len(e.Source) + len(e.DetailType) + len(e.Detail) }

// classic returns the entry for the API of the classic bus.
func (e Entry) classic(bus string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{
		EventBusName: &bus, Source: &e.Source, DetailType: &e.DetailType, Detail: &e.Detail, Time: &e.Time,
	}
}
