package eventstoretest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

var contentClauses = []clause{
	{"payload and metadata come back byte for byte, whatever they are", byteForByte},
	{"the caller may reuse its bytes once the append has returned", reusedBuffer},
	{"an event comes back with its id, type, schema version and tags in order", everyField},
	{"every event has metadata of its own or none", metadataApart},
}

// payloads are bytes that a store which takes them for text or JSON changes, refuses,
// or accepts and can never read back.
func payloads(largest int) map[string][]byte {
	return map[string][]byte{
		"nil":                       nil,
		"empty":                     {},
		"one NUL":                   {0},
		"NULs around text":          []byte("\x00text\x00\x00"),
		"invalid UTF-8":             {0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80},
		"every byte":                everyByte(),
		"JSON with spaces":          []byte("{ \"b\" : 1,\n\t\"a\":2 }\r\n"),
		"JSON with a key twice":     []byte(`{"a":1,"a":2}`),
		"JSON keys out of order":    []byte(`{"z":1,"a":{"y":2,"b":3}}`),
		"JSON escaped NUL":          []byte(`{"a":"\u0000"}`),
		"JSON lone surrogate":       []byte(`{"a":"\ud800"}`),
		"JSON escapes of ASCII":     []byte(`{"a":"\u0061\/"}`),
		"JSON number of 131,000 0s": []byte(`{"e":1e131000}`),
		"JSON long fraction":        []byte(`{"f":0.1000000000000000055511151231257827021181583404541015625}`),
		"JSON integer above 2^53":   []byte(`{"n":9007199254740993}`),
		"JSON minus zero":           []byte(`-0`),
		"JSON nested 10,000 deep":   []byte(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)),
		"not quite JSON":            []byte(`{"a":`),
		"byte order mark":           []byte("\xef\xbb\xbf{}"),
		"quotes and SQL":            []byte(`'"; DROP TABLE events; --` + "`$1 ? :a @b \\'"),
		"CSV and a COPY end":        []byte("\\.\n\\N\t,\"\"\n"),
		"compressible":              bytes.Repeat([]byte{'a'}, 100_000),
		"as large as allowed":       bytes.Repeat([]byte("0123456\x00"), (largest-64)/8),
	}
}

func everyByte() []byte {
	all := make([]byte, 256)
	for n := range all {
		all[n] = byte(n)
	}
	return all
}

func byteForByte(c *check) {
	for name, payload := range payloads(c.options.EventBytes) {
		stream := eventstore.NewStreamID("corpus", name)
		asData, asMetadata := event("as.data"), event("as.metadata")
		asData.Data, asMetadata.Metadata = payload, payload
		c.append(to(stream, asData))
		c.append(to(stream, asMetadata))
		for _, events := range [][]eventstore.Recorded{
			c.stream(stream, eventstore.StreamRange{}),
			c.log(eventstore.LogQuery{After: c.head() - 2}),
		} {
			equal(c, "events read back", len(events), 2)
			if !bytes.Equal(events[0].Data, payload) {
				c.fatalf("payload %s came back as %.80q", name, events[0].Data)
			}
			if !bytes.Equal(events[1].Metadata, payload) {
				c.fatalf("metadata %s came back as %.80q", name, events[1].Metadata)
			}
		}
	}
}

// reusedBuffer is what a codec with a pooled buffer does to a store that keeps the
// slice instead of its bytes: the next encoding overwrites an event of the past.
func reusedBuffer(c *check) {
	e := event("placed", "order:1", "customer:1")
	e.Data, e.Metadata = []byte("original"), []byte("original")
	request := to("order-1", e)
	c.append(request)
	copy(e.Data, "SCRIBBLE")
	copy(e.Metadata, "SCRIBBLE")
	e.Tags[0] = "scribble:1"
	request.Writes[0].Events[0].Type = "scribbled"

	for _, read := range c.log(eventstore.LogQuery{Query: eventstore.Tagged("order:1")}) {
		equal(c, "stored event", fmt.Sprintf("%s %v %s %s", read.Type, read.Tags, read.Data, read.Metadata),
			"placed [order:1 customer:1] original original")
	}
	equal(c, "events under the original tag", len(c.log(eventstore.LogQuery{Query: eventstore.Tagged("order:1")})), 1)
	equal(c, "events under the scribbled tag", len(c.log(eventstore.LogQuery{Query: eventstore.Tagged("scribble:1")})), 0)
}

func everyField(c *check) {
	e := event("order.placed", "z:1", "a:2", "m:3")
	e.SchemaVersion, e.Metadata = eventstore.MaxSchemaVersion, eventstore.Metadata{"actor": "me"}.Encode()
	c.append(to("order-1", event("other"), e))
	got := c.stream("order-1", eventstore.StreamRange{After: 1})[0]
	want := eventstore.Recorded{EventData: e, Stream: "order-1", Version: 2, Position: 2, RecordedAt: got.RecordedAt}
	c.same("from the stream", []eventstore.Recorded{got}, []eventstore.Recorded{want})
	c.same("from the log", c.log(eventstore.LogQuery{After: 1}), []eventstore.Recorded{want})
	c.same("from the log by tag", c.log(eventstore.LogQuery{Query: eventstore.Tagged("m:3")}), []eventstore.Recorded{want})
}

func metadataApart(c *check) {
	with, without := event("with"), event("without")
	with.Metadata = []byte("meta")
	c.append(to("order-1", with, without, with))
	for _, e := range c.stream("order-1", eventstore.StreamRange{}) {
		want := map[string]string{"with": "meta", "without": ""}[e.Type]
		equal(c, "metadata of "+e.Type, string(e.Metadata), want)
	}
}
