package relay

import (
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Message is what is published of one event.
type Message struct {
	// ID is the same each time the message is published: 32 hexadecimal digits, made of the
	// relay's name, the store, the stream and the event's id. It is what a bus or a consumer
	// tells repeats by (the deduplication id of a FIFO queue, the id of a CloudEvent).
	ID string
	// Key is what orders messages: those of one key arrive in the order of the log (the
	// group id of a FIFO queue, the partition key of a stream).
	Key string

	// Where the event is. Within a stream versions rise by one, and a consumer that keeps the last one
	// it has seen knows repeats, and gaps if the relay publishes every event.
	Source   eventstore.StoreID
	Stream   eventstore.StreamID
	Version  eventstore.Version
	Position eventstore.Position
	EventID  eventstore.EventID

	// What happened: the event's own, unless [Relay].Translate says otherwise.
	Type          string
	SchemaVersion int
	Tags          []eventstore.Tag
	Data          []byte
	Metadata      eventstore.Metadata // correlation, causation, actor; nil if not in the usual form
	RecordedAt    time.Time
}

// message returns what is published of the event, and whether anything is.
func (r Relay) message(event eventstore.Recorded, key string, source eventstore.StoreID) (m Message, publish bool, err error) {
	m = Message{
		ID:  eventstore.NewCommandID("relay", r.Name, source.String(), string(event.Stream), event.ID.String()).String(),
		Key: key, Source: source,
		Stream: event.Stream, Version: event.Version, Position: event.Position, EventID: event.ID,
		Type: event.Type, SchemaVersion: event.SchemaVersion, Tags: event.Tags, Data: event.Data, RecordedAt: event.RecordedAt,
	}
	if of, err := eventstore.ParseMetadata(event.Metadata); err == nil {
		m.Metadata = of
	}
	if r.Translate == nil {
		return m, true, nil
	}
	translated := m
	if publish, err = r.translate(&translated, event); err != nil || !publish {
		return m, publish, err
	}
	m.Type, m.SchemaVersion, m.Tags = translated.Type, translated.SchemaVersion, translated.Tags
	m.Data, m.Metadata = translated.Data, translated.Metadata
	return m, true, nil
}

// translate calls the user's function. A panic is a failure of this event.
func (r Relay) translate(m *Message, event eventstore.Recorded) (publish bool, err error) {
	defer recovered("Translate", &err)
	return r.Translate(m, event)
}
