package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leftfold/leftfold/eventstore"
)

// cloudEvent is CloudEvents 1.0.2 in its JSON format. Names of extensions are lower-case letters
// and digits (section 3.1); partitionkey is that of the "partitioning" extension, and sequence
// that of the "sequence" extension. A number beyond 32 bits is a string there.
type cloudEvent struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Subject     string `json:"subject"`
	Time        string `json:"time"`

	PartitionKey  string `json:"partitionkey"`
	Sequence      string `json:"sequence"`
	Version       string `json:"streamversion"`
	Position      string `json:"position"`
	EventID       string `json:"eventid"`
	SchemaVersion int    `json:"schemaversion"`
	Correlation   string `json:"correlationid,omitempty"`
	Causation     string `json:"causationid,omitempty"`
	Actor         string `json:"actor,omitempty"`
	Tags          string `json:"tags,omitempty"` // one a line: an extension is no list

	ContentType string          `json:"datacontenttype,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Base64      []byte          `json:"data_base64,omitempty"`
}

// CloudEvent returns the message as a CloudEvent 1.0 in the JSON format: the source is
// urn:leftfold:<store>, the subject the stream, sequence the version with 20 digits, so that it sorts as
// text. Data that is JSON without needless spaces is embedded; any other, which would not come back
// byte for byte, is in data_base64. Position and streamversion are strings. The result is the same each
// time, and [ParseCloudEvent] reads it. Of the metadata it has correlation, causation and actor.
func (m Message) CloudEvent() ([]byte, error) {
	e := cloudEvent{
		SpecVersion: "1.0", ID: m.ID, Source: "urn:leftfold:" + m.Source.String(), Type: m.Type, Subject: string(m.Stream),
		Time:         m.RecordedAt.UTC().Format(time.RFC3339Nano),
		PartitionKey: m.Key, Sequence: fmt.Sprintf("%020d", m.Version),
		Version: strconv.FormatInt(int64(m.Version), 10), Position: strconv.FormatInt(int64(m.Position), 10),
		EventID: m.EventID.String(), SchemaVersion: m.SchemaVersion,
		Correlation: m.Metadata[eventstore.MetadataCorrelationID], Causation: m.Metadata[eventstore.MetadataCausationID],
		Actor: m.Metadata[eventstore.MetadataActor], Tags: joinTags(m.Tags),
	}
	switch {
	case len(m.Data) == 0:
	case isCompact(m.Data):
		e.ContentType, e.Data = "application/json", m.Data
	default:
		e.ContentType, e.Base64 = "application/octet-stream", m.Data
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("message %s as a CloudEvent: %w", m.ID, err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// isCompact reports whether JSON's encoder leaves the data as they are.
func isCompact(data []byte) bool {
	var compact bytes.Buffer
	return utf8.Valid(data) && json.Compact(&compact, data) == nil && bytes.Equal(compact.Bytes(), data)
}

// joinTags puts each tag on a line of its own. A tag is printable, so it has no line end.
func joinTags(tags []eventstore.Tag) string {
	lines := make([]string, len(tags))
	for n, tag := range tags {
		lines[n] = string(tag)
	}
	return strings.Join(lines, "\n")
}
