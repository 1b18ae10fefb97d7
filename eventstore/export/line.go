package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leftfold/leftfold/eventstore"
)

// Format is the number of the form of the file. A reader refuses every other.
const Format = 1

// timeForm has microseconds, as stores have.
const timeForm = "2006-01-02T15:04:05.000000Z"

// line is any line of the file without its sum.
type line struct {
	// of the header
	Leftfold string `json:"leftfold,omitempty"`
	Format   int    `json:"format,omitempty"`
	Store    string `json:"store,omitempty"`

	// of an event
	Position       eventstore.Position `json:"position,omitempty"`
	Stream         eventstore.StreamID `json:"stream,omitempty"`
	Version        eventstore.Version  `json:"version,omitempty"`
	ID             string              `json:"id,omitempty"`
	Type           string              `json:"type,omitempty"`
	SchemaVersion  int                 `json:"schema_version,omitempty"`
	RecordedAt     string              `json:"recorded_at,omitempty"`
	Tags           []eventstore.Tag    `json:"tags,omitempty"`
	Metadata       json.RawMessage     `json:"metadata,omitempty"`
	MetadataBase64 string              `json:"metadata_base64,omitempty"`
	Data           json.RawMessage     `json:"data,omitempty"`
	DataBase64     string              `json:"data_base64,omitempty"`

	// of a command, besides
	Command  string                                     `json:"command,omitempty"`
	Hash     string                                     `json:"hash,omitempty"`
	Versions map[eventstore.StreamID]eventstore.Version `json:"versions,omitempty"`

	// of the header and the end
	Events   *int64 `json:"events,omitempty"`
	Commands *int64 `json:"commands,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Sum      string `json:"sum,omitempty"`
}

// encode returns the line without its sum and its closing brace. A payload that is JSON stands at the end, as
// it is: encoding/json would take out its spaces.
func (l line) encode(metadata, data []byte) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(l); err != nil {
		return nil, err
	}
	text.Truncate(text.Len() - len("}\n"))
	payload(&text, "metadata", metadata)
	payload(&text, "data", data)
	return text.Bytes(), nil
}

func payload(text *bytes.Buffer, name string, content []byte) {
	switch {
	case len(content) == 0:
	case standsAsItIs(content):
		fmt.Fprintf(text, ",%q:%s", name, content)
	default:
		fmt.Fprintf(text, ",%q:%q", name+"_base64", base64.StdEncoding.EncodeToString(content))
	}
}

// maxDepth is how deep JSON may be for encoding/json.
const maxDepth = 10_000

// standsAsItIs reports whether a reader of JSON finds the same bytes again in a line, where it is one deeper.
func standsAsItIs(content []byte) bool {
	return json.Valid(content) && (len(content) < maxDepth || json.Valid(slices.Concat([]byte("["), content, []byte("]")))) && utf8.Valid(content) && !bytes.ContainsAny(content, "\n\r") && len(bytes.TrimSpace(content)) == len(content)
}

// content returns the bytes of a payload.
func content(asItIs json.RawMessage, encoded string) ([]byte, error) {
	if encoded == "" {
		return asItIs, nil
	}
	if asItIs != nil {
		return nil, errors.New("it has a payload twice")
	}
	return base64.StdEncoding.DecodeString(encoded)
}

func eventLine(e eventstore.Recorded) ([]byte, error) {
	return line{
		Position: e.Position, Stream: e.Stream, Version: e.Version, ID: e.ID.String(), Type: e.Type, SchemaVersion: e.SchemaVersion,
		RecordedAt: e.RecordedAt.UTC().Format(timeForm), Tags: e.Tags,
	}.encode(e.Metadata, e.Data)
}

func (l line) event() (e eventstore.Recorded, err error) {
	e = eventstore.Recorded{Stream: l.Stream, Version: l.Version, Position: l.Position}
	e.Type, e.SchemaVersion, e.Tags = l.Type, l.SchemaVersion, l.Tags
	if err := e.ID.UnmarshalText([]byte(l.ID)); err != nil {
		return e, err
	}
	if e.RecordedAt, err = time.Parse(timeForm, l.RecordedAt); err != nil {
		return e, err
	}
	if e.Metadata, err = content(l.Metadata, l.MetadataBase64); err != nil {
		return e, fmt.Errorf("metadata: %w", err)
	}
	if e.Data, err = content(l.Data, l.DataBase64); err != nil {
		return e, fmt.Errorf("data: %w", err)
	}
	return e, nil
}

// commandLine has the position even if it is 0.
func commandLine(c eventstore.RememberedCommand) ([]byte, error) {
	versions, err := json.Marshal(c.Versions) // sorted by stream
	if err != nil {
		return nil, err
	}
	if len(c.Versions) == 0 {
		versions = []byte("{}")
	}
	return fmt.Appendf(nil, `{"command":"%s","hash":"%x","position":%d,"versions":%s,"recorded_at":"%s"`,
		c.ID, c.Hash, c.Position, versions, c.RecordedAt.UTC().Format(timeForm)), nil
}

func (l line) command() (c eventstore.RememberedCommand, err error) {
	c = eventstore.RememberedCommand{Position: l.Position, Versions: l.Versions}
	for _, field := range []struct {
		text string
		into []byte
	}{{l.Command, c.ID[:]}, {l.Hash, c.Hash[:]}} {
		bytes, err := hex.DecodeString(field.text)
		if err != nil || len(bytes) != len(field.into) {
			return c, fmt.Errorf("%q is not %d bytes in hexadecimal", field.text, len(field.into))
		}
		copy(field.into, bytes)
	}
	c.RecordedAt, err = time.Parse(timeForm, l.RecordedAt)
	return c, err
}

// chain is the running sum of the lines.
type chain [sha256.Size]byte

const sumBytes = 8 // of a line; the end has all of it

// add takes in a line without its sum.
func (c *chain) add(body []byte) {
	h := sha256.New()
	h.Write(c[:])
	h.Write(body)
	h.Sum(c[:0])
}

func (c *chain) sum() string { return `,"sum":"` + hex.EncodeToString(c[:sumBytes]) + `"}` }

func (c *chain) end() string { return `,"sha256":"` + hex.EncodeToString(c[:]) + `"}` }

// check takes in a line with its sum, and reports whether it is the end.
func (c *chain) check(text []byte) (isEnd bool, err error) {
	for _, form := range []struct {
		mark  string
		bytes int
		sum   func() string
	}{{`,"sum":"`, sumBytes, c.sum}, {`,"sha256":"`, sha256.Size, c.end}} {
		at := len(text) - len(form.mark) - 2*form.bytes - len(`"}`)
		if at < 1 || !strings.HasPrefix(string(text[at:at+len(form.mark)]), form.mark) {
			continue
		}
		c.add(text[:at])
		if string(text[at:]) != form.sum() {
			return false, errors.New("its sum is wrong: this line or the order of the lines before it was changed")
		}
		return form.bytes == sha256.Size, nil
	}
	return false, errors.New("it has no sum at its end: it was changed or cut off")
}
