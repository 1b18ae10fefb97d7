package relay

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// ParseCloudEvent returns the message that [Message.CloudEvent] has written, for those who receive it. What
// is no such CloudEvent is [eventstore.ErrInvalid]: it will never be one.
func ParseCloudEvent(text []byte) (Message, error) {
	var e cloudEvent
	if err := json.Unmarshal(text, &e); err != nil {
		return Message{}, notOurs(err)
	}
	m := Message{
		ID: e.ID, Key: e.PartitionKey, Stream: eventstore.StreamID(e.Subject), Type: e.Type, SchemaVersion: e.SchemaVersion,
		Data: e.Data, Metadata: eventstore.Metadata{}, Tags: splitTags(e.Tags),
	}
	if len(e.Data) == 0 {
		m.Data = e.Base64
	}
	for key, value := range map[string]string{
		eventstore.MetadataCorrelationID: e.Correlation, eventstore.MetadataCausationID: e.Causation, eventstore.MetadataActor: e.Actor,
	} {
		if value != "" {
			m.Metadata[key] = value
		}
	}
	if err := parsePlace(&m, e); err != nil {
		return Message{}, notOurs(err)
	}
	return m, nil
}

// parsePlace fills in where the event is.
func parsePlace(m *Message, e cloudEvent) (err error) {
	if m.Source, err = parseSource(e.Source); err != nil {
		return err
	}
	if err = m.EventID.UnmarshalText([]byte(e.EventID)); err != nil {
		return fmt.Errorf("eventid: %w", err)
	}
	version, err := strconv.ParseInt(e.Version, 10, 64)
	if err != nil || version < 1 {
		return fmt.Errorf("streamversion %q is no version", e.Version)
	}
	position, err := strconv.ParseInt(e.Position, 10, 64)
	if err != nil || position < 1 {
		return fmt.Errorf("position %q is no position", e.Position)
	}
	m.Version, m.Position = eventstore.Version(version), eventstore.Position(position)
	if m.RecordedAt, err = time.Parse(time.RFC3339Nano, e.Time); err != nil {
		return fmt.Errorf("time: %w", err)
	}
	return m.Stream.Validate()
}

// parseSource returns the store that urn:leftfold:<store> names.
func parseSource(source string) (store eventstore.StoreID, err error) {
	text, ours := strings.CutPrefix(source, "urn:leftfold:")
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if !ours || err != nil || len(raw) != len(store) {
		return store, fmt.Errorf("source %q is not urn:leftfold:<store>", source)
	}
	return eventstore.StoreID(raw), nil
}

func splitTags(lines string) (tags []eventstore.Tag) {
	if lines == "" {
		return nil
	}
	for tag := range strings.SplitSeq(lines, "\n") {
		tags = append(tags, eventstore.Tag(tag))
	}
	return tags
}

func notOurs(why error) error {
	return &eventstore.InvalidError{What: "CloudEvent of a relay", Reason: why.Error()}
}
