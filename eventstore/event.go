package eventstore

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// EventData is an event about to be appended.
type EventData struct {
	// ID identifies the event and anchors checkpoints. Default: a new UUIDv7.
	//
	// It does not make an append idempotent; [AppendRequest.Command] does. No store checks
	// that it is unique, but two events of one stream must not share one: a checkpoint could
	// not tell them apart, and a store that looks for an append whose answer was lost by the
	// ids of its events would take one for the other.
	ID EventID

	// Type is the stable stored name, such as "order.placed". It is never derived
	// from a Go type name, so that code can be renamed and the log cannot. 1 to
	// [MaxNameBytes] bytes of printable UTF-8; "$" is not allowed in front. Required.
	Type string

	// SchemaVersion is the shape of Data, 1 to [MaxSchemaVersion]. Default: 1.
	SchemaVersion int

	// Tags select the event in queries across streams. At most [MaxTags], no duplicates.
	// Their order is kept and means nothing.
	Tags []Tag

	// Data is the payload, stored byte for byte. Whether it is JSON is the codec's business.
	// Data and Metadata together have at most [Limits].EventBytes. Default: empty.
	Data []byte

	// Metadata holds facts about the event that are not of the domain: causation,
	// correlation, actor. Stored byte for byte; see [Metadata] for the usual form.
	Metadata []byte
}

// Recorded is an event as read back from the log.
type Recorded struct {
	EventData

	Stream   StreamID
	Version  Version
	Position Position

	// RecordedAt is when the store took the event, in UTC with microseconds.
	// It is information, never order.
	RecordedAt time.Time
}

// Equal reports whether two recorded events are the same in every field, comparing
// payload, metadata and tags by content and times as instants.
func (r Recorded) Equal(o Recorded) bool {
	return r.ID == o.ID && r.Type == o.Type && r.SchemaVersion == o.SchemaVersion &&
		r.Stream == o.Stream && r.Version == o.Version && r.Position == o.Position &&
		r.RecordedAt.Equal(o.RecordedAt) && slices.Equal(r.Tags, o.Tags) &&
		bytes.Equal(r.Data, o.Data) && bytes.Equal(r.Metadata, o.Metadata)
}

// EventID is a UUID. It has the layout of every Go UUID library, so
// uuid.UUID(id) converts without cost.
type EventID [16]byte

// NewEventID returns a UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix
// milliseconds, then random bits, so that ids made later sort later.
func NewEventID() EventID {
	var id EventID
	binary.BigEndian.PutUint64(id[:8], uint64(time.Now().UnixMilli())<<16)
	_, _ = rand.Read(id[6:]) // documented to never fail since Go 1.24
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero reports whether the id is unset.
func (id EventID) IsZero() bool { return id == EventID{} }

// String returns the usual 36-character form.
func (id EventID) String() string { return formatUUID(id) }

// MarshalText implements encoding.TextMarshaler.
func (id EventID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *EventID) UnmarshalText(text []byte) error {
	u, err := parseUUID(string(text))
	*id = u
	return err
}

// Tag is a "key:value" label on an event. The key ends at the first colon.
type Tag string

// NewTag joins a key and a value. An empty part is refused when the event is appended.
func NewTag(key, value string) Tag { return Tag(key + ":" + value) }

// Key returns the part before the first colon.
func (t Tag) Key() string { key, _, _ := strings.Cut(string(t), ":"); return key }

// Value returns the part after the first colon.
func (t Tag) Value() string { _, value, _ := strings.Cut(string(t), ":"); return value }

// Metadata is the usual form of [EventData.Metadata]: a flat JSON object.
type Metadata map[string]string

// Well-known metadata keys. The command bus sets them; see [WithMetadata].
const (
	// MetadataCorrelationID names the whole conversation: everything that came of one request.
	MetadataCorrelationID = "correlation_id"
	// MetadataCausationID is the id of what directly caused the event: another event, or the
	// command that began the conversation.
	MetadataCausationID = "causation_id"
	// MetadataActor is who acted: the principal of the command.
	MetadataActor = "actor"
	// MetadataCommand is the name of the command that was handled.
	MetadataCommand = "command"
)

// Encode returns the metadata as JSON with sorted keys, the bytes of [json.Marshal]; nil for an
// empty map.
func (m Metadata) Encode() []byte {
	if len(m) == 0 {
		return nil
	}
	keys, size := make([]string, 0, len(m)), 1
	for key, value := range m {
		keys = append(keys, key)
		size += len(key) + len(value) + len(`"":"",`)
	}
	slices.Sort(keys)
	text := append(make([]byte, 0, size), '{')
	for _, key := range keys {
		text = append(appendJSON(text, key), ':')
		text = append(appendJSON(text, m[key]), ',')
	}
	text[len(text)-1] = '}'
	return text
}

// appendJSON appends a string as JSON. Metadata are encoded with every command, and json.Marshal
// takes longer for four of them than a decision in memory.
func appendJSON(text []byte, s string) []byte {
	for n := range len(s) {
		if c := s[n]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			escaped, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always encodes
			}
			return append(text, escaped...)
		}
	}
	return append(append(append(text, '"'), s...), '"')
}

// ParseMetadata reads what [Metadata.Encode] wrote. No bytes mean no metadata.
func ParseMetadata(text []byte) (Metadata, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var m Metadata
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("parse event metadata: %w", err)
	}
	return m, nil
}

func formatUUID(u [16]byte) string {
	var text [36]byte
	hex.Encode(text[0:8], u[0:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:36], u[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

func parseUUID(text string) (u [16]byte, err error) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return u, fmt.Errorf("parse %q: want a UUID such as 0190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f", text)
	}
	bare := text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
	if _, err := hex.Decode(u[:], []byte(bare)); err != nil {
		return [16]byte{}, fmt.Errorf("parse %q as a UUID: %w", text, err)
	}
	return u, nil
}
