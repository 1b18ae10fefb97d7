package kinesisstore

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/eventstore"
)

// Record is one append as it stands on the stream: one record of Kinesis, so all of it or nothing.
type Record struct {
	// Commit names the append. A record that is put again has the same one.
	Commit CommitID
	// Stream is the partition key too, so that the records of a stream follow each other.
	Stream eventstore.StreamID
	// Expect is the version that the stream must be at.
	Expect eventstore.Version
	// Command makes a repeated command harmless on this stream.
	Command eventstore.Command
	// Delete ends the stream; there are no Events then.
	Delete bool
	Events []eventstore.EventData
}

// format is the version of the encoding. A reader refuses what it does not know.
const format = 1

// maxRecordBytes is what a stream takes of data and partition key together unless it was told
// otherwise (UpdateMaxRecordSize).
const maxRecordBytes = 1 << 20

type recordJSON struct {
	Format  int                 `json:"v"`
	Commit  CommitID            `json:"commit"`
	Stream  eventstore.StreamID `json:"stream"`
	Expect  eventstore.Version  `json:"expect"`
	Command string              `json:"command,omitempty"`
	Hash    string              `json:"hash,omitempty"`
	Delete  bool                `json:"delete,omitempty"`
	Events  []eventJSON         `json:"events,omitempty"`
}

type eventJSON struct {
	ID     eventstore.EventID `json:"id"`
	Type   string             `json:"type"`
	Schema int                `json:"schema"`
	Tags   []eventstore.Tag   `json:"tags,omitempty"`
	Data   *payload           `json:"data,omitempty"`
	Meta   *payload           `json:"meta,omitempty"`
}

// payload is bytes, which come back as they are: as text where that is text, which people can
// read and which is shorter, else as {"base64": …}.
type payload []byte

type base64JSON struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (p *payload) MarshalJSON() ([]byte, error) {
	if utf8.Valid(*p) {
		text, err := marshal(string(*p))
		if err != nil || len(text) <= len(*p)*4/3+len(`{"base64":""}`) {
			return text, err
		}
	}
	return json.Marshal(base64JSON{*p})
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *payload) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var s string
		err := json.Unmarshal(text, &s)
		*p = payload(s)
		return err
	}
	var b base64JSON
	err := json.Unmarshal(text, &b)
	*p = b.Base64
	return err
}

func payloadOf(b []byte) *payload {
	if len(b) == 0 {
		return nil
	}
	return (*payload)(&b)
}

func (p *payload) bytes() []byte {
	if p == nil {
		return nil
	}
	return *p
}

// marshal is json.Marshal without the escapes that are for HTML.
func marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// Encode returns the data of the Kinesis record: JSON, the same each time.
func (r Record) Encode() ([]byte, error) {
	text := recordJSON{Format: format, Commit: r.Commit, Stream: r.Stream, Expect: r.Expect, Delete: r.Delete}
	if !r.Command.ID.IsZero() {
		text.Command = r.Command.ID.String()
	}
	if !r.Command.Hash.IsZero() {
		text.Hash = hex.EncodeToString(r.Command.Hash[:])
	}
	for _, e := range r.Events {
		text.Events = append(text.Events, eventJSON{e.ID, e.Type, e.SchemaVersion, e.Tags, payloadOf(e.Data), payloadOf(e.Metadata)})
	}
	return marshal(text)
}

// Decode reads a record of Kinesis. What [Record.Encode] has not written is [ErrForeignRecord].
func Decode(raw types.Record) (Record, error) {
	record, err := decode(raw)
	if err != nil {
		at := ""
		if raw.SequenceNumber != nil {
			at = *raw.SequenceNumber
		}
		return Record{}, fmt.Errorf("%w at sequence number %s: %w", ErrForeignRecord, at, err)
	}
	return record, nil
}

func decode(raw types.Record) (r Record, err error) {
	if bytes.HasPrefix(raw.Data, []byte{0xF3, 0x89, 0x9A, 0xC2}) {
		return r, errors.New("it was put together by the Kinesis Producer Library")
	}
	var text recordJSON
	if err := json.Unmarshal(raw.Data, &text); err != nil {
		return r, err
	}
	if text.Format != format {
		return r, fmt.Errorf("its format is %d, this program reads %d: a newer one may have written it", text.Format, format)
	}
	r = Record{Commit: text.Commit, Stream: text.Stream, Expect: text.Expect, Delete: text.Delete}
	if err := errors.Join(unhex(r.Command.ID[:], text.Command), unhex(r.Command.Hash[:], text.Hash)); err != nil {
		return r, err
	}
	for _, e := range text.Events {
		r.Events = append(r.Events, eventstore.EventData{
			ID: e.ID, Type: e.Type, SchemaVersion: e.Schema, Tags: e.Tags, Data: e.Data.bytes(), Metadata: e.Meta.bytes(),
		})
	}
	switch {
	case raw.PartitionKey == nil || *raw.PartitionKey != string(r.Stream):
		return r, fmt.Errorf("its partition key is not its stream %q", r.Stream)
	case r.Expect < 0 || r.Delete != (len(r.Events) == 0) || r.Delete && r.Expect == 0:
		return r, errors.New("it appends nothing, or to no version")
	case r.Delete:
		return r, r.Stream.Validate()
	}
	_, err = r.request().Prepare(eventstore.Limits{EventBytes: eventstore.MaxAppendBytes})
	return r, err
}

// unhex reads an id; no text is the zero id.
func unhex(id []byte, text string) error {
	if text == "" {
		return nil
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return fmt.Errorf("%q is no id of %d bytes", text, len(id))
	}
	copy(id, raw)
	return nil
}

// request returns the append that an accepted record is in the index.
func (r Record) request() eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: r.Stream, Expected: eventstore.Exactly(r.Expect), Events: r.Events}}}
}

// last returns the version of the stream once the record is accepted.
func (r Record) last() eventstore.Version {
	return r.Expect + eventstore.Version(max(1, len(r.Events))) // a deletion is an event too
}
