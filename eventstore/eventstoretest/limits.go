package eventstoretest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

var limitClauses = []clause{
	{"a hostile name is refused and nothing is appended", hostileNames},
	{"an odd but legal name is accepted and comes back", oddNames},
	{"names of exactly 255 bytes are accepted, of 256 refused", nameLength},
	{"an event type that starts with $ is the store's own", ownTypes},
	{"an event has at most 32 tags, none twice", tagLimit},
	{"an event's payload and metadata are at most 1 MiB together, or what the store says", eventBytes},
	{"an append has at most 10,000 events", eventCount},
	{"an append names at most 10,000 streams, a query has at most 10,000 items", breadth},
	{"an append has at most 64 MiB", appendBytes},
	{"a schema version or expected version out of range is refused", numbersOutOfRange},
	{"a malformed condition is refused", malformedCondition},
	{"a malformed read is refused with one error", malformedRead},
}

// hostile are strings that no name may be: each has broken an index, a log line, a
// header or a terminal somewhere.
var hostile = map[string]string{
	"empty":              "",
	"NUL":                "order-\x00",
	"line feed":          "order-1\nforged: log line",
	"escape":             "order-\x1b[2J",
	"delete":             "order-\x7f",
	"C1 control":         "order-\u0085",
	"right to left":      "order-\u202e1",
	"zero width":         "order-\u200b1",
	"no-break space":     "order-\u00a01",
	"byte order mark":    "\ufefforder-1",
	"invalid UTF-8":      "order-\xff",
	"surrogate in UTF-8": "order-\xed\xa0\x80",
	"4 KiB":              "order-" + strings.Repeat("x", 4096),
}

func hostileNames(c *check) {
	for why, name := range hostile {
		target := eventstore.ErrInvalid
		if len(name) > eventstore.MaxNameBytes {
			target = eventstore.ErrTooLarge
		}
		c.refused(to(eventstore.StreamID(name), event("a")), target, "stream id: "+why)
		c.refused(to("order-1", event(name)), target, "event type: "+why)
		tag := eventstore.Tag(strings.Replace(name, "-", ":", 1))
		c.refused(to("order-1", event("a", "good:1", tag)), target, "tag: "+why)
	}
	for _, name := range []eventstore.StreamID{"order", "-1", "order-", "-"} {
		c.refused(to(name, event("a")), eventstore.ErrInvalid, "stream id "+string(name))
	}
	for _, tag := range []eventstore.Tag{"order", ":1", "order:", ":"} {
		c.refused(to("order-1", event("a", tag)), eventstore.ErrInvalid, "tag "+string(tag))
	}
}

// odd are names that look dangerous and are not, and pairs that a store must not mix
// up: by case, by normalization, by a wildcard or by trailing spaces.
var odd = []string{
	"order-1", "Order-1", "ORDER-1", "order-1 ", "order-01", "order-1-", "order--1", "order-1-2-3",
	"order-%", "order-_", "order-*", `order-\`, `order-'; DROP TABLE events; --`, `order-"`, "order-`",
	"order-$1", "order-?", "order-:a", "order-{}", "order-a/b?c#d", "order-<script>", "order-é",
	"order-e\u0301", "order-日本語", "日本-1", "order-🦊", "order- ", "order-ß", "order-ss", "order-ı", "order-İ",
}

func oddNames(c *check) {
	for n, name := range odd {
		tag := eventstore.Tag(strings.Replace(name, "-", ":", 1))
		c.append(expecting(eventstore.NoStream, eventstore.StreamID(name), event(name, tag, eventstore.Tag(fmt.Sprintf("n:%d", n)))))
	}
	for n, name := range odd {
		id, tag := eventstore.StreamID(name), eventstore.Tag(strings.Replace(name, "-", ":", 1))
		want := c.log(eventstore.LogQuery{After: eventstore.Position(n), Through: eventstore.Position(n + 1)})
		equal(c, "stream id", want[0].Stream, id)
		equal(c, "event type", want[0].Type, name)
		c.same("stream "+name, c.stream(id, eventstore.StreamRange{}), want)
		c.same("tag "+string(tag), c.log(eventstore.LogQuery{Query: eventstore.Tagged(tag)}), want)
		c.same("type "+name, c.log(eventstore.LogQuery{Query: eventstore.Types(name)}), want)
	}
}

func nameLength(c *check) {
	long := "order-" + strings.Repeat("é", 124) + "x" // 255 bytes, 131 characters
	tag := eventstore.Tag(strings.Replace(long, "-", ":", 1))
	c.append(to(eventstore.StreamID(long), event(long, tag)))
	equal(c, "events of the stream with the long name", len(c.stream(eventstore.StreamID(long), eventstore.StreamRange{})), 1)
	equal(c, "events with the long tag", len(c.log(eventstore.LogQuery{Query: eventstore.Tagged(tag)})), 1)

	for what, request := range map[string]eventstore.AppendRequest{
		"stream id":  to(eventstore.StreamID(long+"x"), event("a")),
		"event type": to("order-1", event(long+"x")),
		"tag":        to("order-1", event("a", tag+"x")),
	} {
		limit := refusedAs[*eventstore.LimitError](c, request, what+" of 256 bytes")
		equal(c, what+" size and limit", [2]int{limit.Size, limit.Limit}, [2]int{256, eventstore.MaxNameBytes})
	}
}

func ownTypes(c *check) {
	c.refused(to("order-1", event(eventstore.TombstoneType)), eventstore.ErrInvalid, "a forged tombstone")
	c.refused(to("order-1", event("$")), eventstore.ErrInvalid, "type $")
	c.append(to("order-1", event("a$")))
}

func tagLimit(c *check) {
	var tags []eventstore.Tag
	for n := range eventstore.MaxTags {
		tags = append(tags, eventstore.NewTag("tag", fmt.Sprint(n)))
	}
	c.append(to("order-1", event("a", tags...)))
	equal(c, "tags of the event", len(c.stream("order-1", eventstore.StreamRange{})[0].Tags), eventstore.MaxTags)

	limit := refusedAs[*eventstore.LimitError](c, to("order-1", event("a", append(tags, "one:more")...)), "33 tags")
	equal(c, "size and limit", [2]int{limit.Size, limit.Limit}, [2]int{33, eventstore.MaxTags})
	c.refused(to("order-1", event("a", "a:1", "b:1", "a:1")), eventstore.ErrInvalid, "a tag twice")
}

func eventBytes(c *check) {
	full := event("full")
	full.Data, full.Metadata = make([]byte, c.options.EventBytes-10), make([]byte, 10)
	c.append(to("order-1", full))

	full.Metadata = make([]byte, 11)
	limit := refusedAs[*eventstore.LimitError](c, to("order-1", event("small"), full), "one byte too many")
	equal(c, "size and limit", [2]int{limit.Size, limit.Limit}, [2]int{c.options.EventBytes + 1, c.options.EventBytes})
}

func eventCount(c *check) {
	many := make([]eventstore.EventData, eventstore.MaxEvents)
	for n := range many {
		many[n] = eventstore.EventData{Type: "a"}
	}
	receipt := c.append(to("order-1", many...))
	equal(c, "version after the largest append", receipt.Versions["order-1"], eventstore.MaxEvents)

	request := to("order-1", slices.Concat(many, []eventstore.EventData{event("a")})...)
	limit := refusedAs[*eventstore.LimitError](c, request, "one event too many")
	equal(c, "size and limit", [2]int{limit.Size, limit.Limit}, [2]int{eventstore.MaxEvents + 1, eventstore.MaxEvents})
}

func appendBytes(c *check) {
	megabyte := bytes.Repeat([]byte{1}, 1<<20)
	tooMuch := make([]eventstore.EventData, 64)
	for n := range tooMuch {
		tooMuch[n] = eventstore.EventData{Type: "a", Data: megabyte} // the names are the bytes too many
	}
	limit := refusedAs[*eventstore.LimitError](c, to("order-1", tooMuch...), "64 MiB and some names")
	equal(c, "limit", limit.Limit, eventstore.MaxAppendBytes)
}

func numbersOutOfRange(c *check) {
	for _, version := range []int{-1, eventstore.MaxSchemaVersion + 1} {
		e := event("a")
		e.SchemaVersion = version
		c.refused(to("order-1", e), eventstore.ErrInvalid, fmt.Sprintf("schema version %d", version))
	}
	c.refused(expecting(eventstore.Exactly(-1), "order-1", event("a")), eventstore.ErrInvalid, "expected version -1")
}

func breadth(c *check) {
	checks := make([]eventstore.Write, eventstore.MaxWrites+1)
	for n := range checks {
		checks[n].Stream = eventstore.NewStreamID("order", fmt.Sprint(n))
	}
	checks[0].Events = []eventstore.EventData{event("a")}
	c.append(eventstore.AppendRequest{Writes: checks[:eventstore.MaxWrites]})
	_ = refusedAs[*eventstore.LimitError](c, eventstore.AppendRequest{Writes: checks}, "one stream too many")

	items := make([]eventstore.QueryItem, eventstore.MaxQueryItems+1)
	for n := range items {
		items[n].Tags = []eventstore.Tag{eventstore.NewTag("order", fmt.Sprint(n))}
	}
	c.append(unless(to("order-0", event("b")), eventstore.Query{Items: items[1:]}, 0))
	_ = refusedAs[*eventstore.LimitError](c, unless(to("order-0", event("c")), eventstore.Query{Items: items}, 0), "one item too many")
}

func malformedCondition(c *check) {
	request := to("order-1", event("a"))
	c.refused(unless(request, eventstore.Tagged("order:1"), -1), eventstore.ErrInvalid, "After is negative")
	c.refused(unless(request, eventstore.Tagged("nocolon"), 0), eventstore.ErrInvalid, "bad tag")
	c.refused(unless(request, eventstore.Types("\x00"), 0), eventstore.ErrInvalid, "bad type")
}

func malformedRead(c *check) {
	c.seed("order-1", "placed")
	for what, in := range map[string]eventstore.StreamRange{
		"After": {After: -1}, "Through": {Through: -1}, "Limit": {Limit: -1},
	} {
		events, err := collect(c.store.ReadStream(c.ctx, "order-1", in))
		c.is(err, eventstore.ErrInvalid, "read a stream with negative %s", what)
		equal(c, "events before the error", len(events), 0)
	}
	_, err := collect(c.store.ReadStream(c.ctx, "nodash", eventstore.StreamRange{}))
	c.is(err, eventstore.ErrInvalid, "read a stream with a bad name")
	for what, query := range map[string]eventstore.LogQuery{
		"After": {After: -1}, "Through": {Through: -1}, "Limit": {Limit: -1},
		"Through before After": {After: 2, Through: 1}, "tag": {Query: eventstore.Tagged("nocolon")},
	} {
		_, err := c.store.ReadLog(c.ctx, query)
		c.is(err, eventstore.ErrInvalid, "read the log with bad %s", what)
	}
}
