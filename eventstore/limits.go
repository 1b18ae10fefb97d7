package eventstore

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of every store. They are checked before any I/O; what exceeds one is a
// [LimitError], a schema version out of range an [InvalidError], and a condition that
// looks back too far [ErrConditionTooWide].
const (
	MaxNameBytes        = 255       // of a stream id, an event type or a tag
	MaxTags             = 32        // of one event, and of one item of a query
	MaxEvents           = 10_000    // of one append
	MaxWrites           = 10_000    // streams of one append
	MaxQueryItems       = 10_000    // of one query
	MaxQueryTypes       = 10_000    // of one item of a query
	MaxAppendBytes      = 64 << 20  // of one append: payloads, metadata and names
	DefaultEventBytes   = 1 << 20   // of one event's payload and metadata together
	MaxUntaggedLookback = 10_000    // positions, see [Condition]
	MaxSchemaVersion    = 1<<15 - 1 // 32,767; the lowest is 1
)

// Limits are the limits that a store lets its user choose.
type Limits struct {
	// EventBytes is the most that payload and metadata of one event may have together.
	// More than [MaxAppendBytes] is of no use. Default: [DefaultEventBytes].
	EventBytes int
}

// Prepare is for adapters: it checks the request against the limits and returns it
// with every default filled in. The request itself is not changed, and neither is
// the result after that, so that a retry writes the same event ids.
//
// Errors are [InvalidError] and [LimitError] and name the stream.
func (r AppendRequest) Prepare(limits Limits) (AppendRequest, error) {
	if limits.EventBytes == 0 {
		limits.EventBytes = DefaultEventBytes
	}
	if r.EventCount() == 0 && r.Command.ID.IsZero() {
		return r, &InvalidError{What: "append", Reason: "it has no events and no command id, so nothing would be remembered"}
	}
	if n := r.EventCount(); n > MaxEvents {
		return r, &LimitError{What: "append: number of events", Size: n, Limit: MaxEvents}
	}
	if n := len(r.Writes); n > MaxWrites {
		return r, &LimitError{What: "append: number of streams", Size: n, Limit: MaxWrites}
	}
	if n := r.Bytes(); n > MaxAppendBytes {
		return r, &LimitError{What: "append: bytes", Size: n, Limit: MaxAppendBytes}
	}
	if r.Condition != nil {
		if err := r.Condition.validate(); err != nil {
			return r, err
		}
	}
	writes := make([]Write, len(r.Writes))
	named := make(map[StreamID]bool, len(r.Writes))
	for n, w := range r.Writes {
		prepared, err := w.prepare(limits)
		if err != nil {
			return r, fmt.Errorf("append to %.64q: %w", string(w.Stream), err)
		}
		if named[w.Stream] {
			return r, &InvalidError{What: "append", Value: string(w.Stream), Reason: "the stream is named twice; put its events into one write"}
		}
		named[w.Stream] = true
		writes[n] = prepared
	}
	r.Writes = writes
	return r, nil
}

// EventCount returns the number of events in the request.
func (r AppendRequest) EventCount() int {
	count := 0
	for _, w := range r.Writes {
		count += len(w.Events)
	}
	return count
}

// Bytes returns the size of the request as [MaxAppendBytes] counts it: payloads,
// metadata, event types, tags and stream ids.
func (r AppendRequest) Bytes() int {
	size := 0
	for _, w := range r.Writes {
		size += len(w.Stream)
		for _, e := range w.Events {
			size += len(e.Data) + len(e.Metadata) + len(e.Type)
			for _, tag := range e.Tags {
				size += len(tag)
			}
		}
	}
	return size
}

func (w Write) prepare(limits Limits) (Write, error) {
	if err := w.Stream.Validate(); err != nil {
		return w, err
	}
	if err := w.Expected.Validate(); err != nil {
		return w, err
	}
	events := make([]EventData, len(w.Events))
	for n, e := range w.Events {
		if err := e.validate(limits); err != nil {
			return w, fmt.Errorf("event %d: %w", n+1, err)
		}
		if e.ID.IsZero() {
			e.ID = NewEventID()
		}
		if e.SchemaVersion == 0 {
			e.SchemaVersion = 1
		}
		events[n] = e
	}
	w.Events = events
	return w, nil
}

func (e EventData) validate(limits Limits) error {
	if err := ValidateName("event type", e.Type); err != nil {
		return err
	}
	if strings.HasPrefix(e.Type, "$") {
		return &InvalidError{What: "event type", Value: e.Type, Reason: "names that start with $ are the store's own"}
	}
	if e.SchemaVersion < 0 || e.SchemaVersion > MaxSchemaVersion {
		return &InvalidError{What: "schema version", Value: fmt.Sprint(e.SchemaVersion), Reason: fmt.Sprintf("want 1 to %d", MaxSchemaVersion)}
	}
	if size := len(e.Data) + len(e.Metadata); size > limits.EventBytes {
		return &LimitError{What: "event " + e.Type + ": bytes of payload and metadata", Size: size, Limit: limits.EventBytes}
	}
	return validateTags(e.Tags)
}

func validateTags(tags []Tag) error {
	if len(tags) > MaxTags {
		return &LimitError{What: "event: number of tags", Size: len(tags), Limit: MaxTags}
	}
	for n, tag := range tags {
		if err := tag.Validate(); err != nil {
			return err
		}
		if slices.Contains(tags[:n], tag) {
			return &InvalidError{What: "tag", Value: string(tag), Reason: "it is given twice"}
		}
	}
	return nil
}

func (c Condition) validate() error {
	if c.After < 0 {
		return &InvalidError{What: "append condition", Reason: "After is negative"}
	}
	return c.FailIf.Validate()
}

// Validate checks the sizes and names in the query. Its errors are [InvalidError] and
// [LimitError], as those of every Validate here.
func (q Query) Validate() error {
	if n := len(q.Items); n > MaxQueryItems {
		return &LimitError{What: "query: number of items", Size: n, Limit: MaxQueryItems}
	}
	for _, item := range q.Items {
		if n := len(item.Types); n > MaxQueryTypes {
			return &LimitError{What: "query item: number of types", Size: n, Limit: MaxQueryTypes}
		}
		for _, name := range item.Types {
			if err := ValidateName("event type", name); err != nil {
				return err
			}
		}
		if err := validateTags(item.Tags); err != nil {
			return err
		}
	}
	return nil
}

// Validate checks the name: "category-id", neither part empty, at most
// [MaxNameBytes] bytes of printable UTF-8.
func (s StreamID) Validate() error {
	if err := ValidateName("stream id", string(s)); err != nil {
		return err
	}
	if s.Category() == "" || s.ID() == "" {
		return &InvalidError{What: "stream id", Value: string(s), Reason: "want category-id, such as order-42"}
	}
	return nil
}

// Validate checks the version that is named: none is negative.
func (e ExpectedVersion) Validate() error {
	if e.version < 0 {
		return &InvalidError{What: "expected version", Value: e.String(), Reason: "versions start at 1"}
	}
	return nil
}

// Validate checks the tag: "key:value", neither part empty, at most
// [MaxNameBytes] bytes of printable UTF-8.
func (t Tag) Validate() error {
	if err := ValidateName("tag", string(t)); err != nil {
		return err
	}
	if t.Key() == "" || t.Value() == "" {
		return &InvalidError{What: "tag", Value: string(t), Reason: "want key:value, such as customer:17850"}
	}
	return nil
}

// Validate checks the range: no bound or limit is negative. A Through below After is an
// empty range, no error.
func (r StreamRange) Validate() error {
	if r.After < 0 || r.Through < 0 || r.Limit < 0 {
		return &InvalidError{What: "stream range", Reason: "After, Through and Limit must not be negative"}
	}
	return nil
}

// Validate checks the query's names, bounds and limit. A Through below After is an error.
func (q LogQuery) Validate() error {
	if q.After < 0 || q.Through < 0 || q.Limit < 0 {
		return &InvalidError{What: "log query", Reason: "After, Through and Limit must not be negative"}
	}
	if q.Through != 0 && q.Through < q.After {
		return &InvalidError{What: "log query", Reason: "Through lies before After"}
	}
	return q.Query.Validate()
}

// ValidateName checks a name that is stored: 1 to [MaxNameBytes] bytes of printable UTF-8, which
// keeps it safe in every index, log line, header and terminal. What says which name it is, for
// the error.
func ValidateName(what, name string) error {
	bad := func(why string) error { return &InvalidError{What: what, Value: name, Reason: why} }
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > MaxNameBytes:
		return &LimitError{What: what + ": bytes", Size: len(name), Limit: MaxNameBytes}
	case !utf8.ValidString(name):
		return bad("it is not valid UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return bad("it holds a character that is not printable")
	}
	return nil
}
