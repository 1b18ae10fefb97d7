package eventstoretest

import (
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

var streamClauses = []clause{
	{"a stream yields its own events, oldest first", ownEvents},
	{"a range, a direction and a limit select as the port says", streamRanges},
	{"a stream without events yields none and no error", missingStream},
	{"the events of a read are one prefix: appends during the loop stay out", streamPrefix},
	{"a loop over a stream may append to it", appendInStreamLoop},
	{"a loop over a stream may end early, any number of times", streamEndsEarly},
	{"a read of a stream may be looped over again", streamTwice},
	{"a read of a stream whose context is over yields its error once", streamCancelled},
	{"a long stream comes back whole", longStream},
}

func ownEvents(c *check) {
	c.seed("order-1", "a")
	c.seed("order-10", "x")
	c.seed("order-1", "b")
	c.seed("order-2", "y")
	c.seed("order-1", "c")
	events := c.stream("order-1", eventstore.StreamRange{})
	equal(c, "types", types(events), "a b c")
	for n, e := range events {
		equal(c, "stream", e.Stream, "order-1")
		equal(c, "version", e.Version, eventstore.Version(n+1))
	}
	equal(c, "position of the last", events[2].Position, 5)
}

// streamRanges compares every small range with a slice of the whole stream.
func streamRanges(c *check) {
	c.seed("order-0", "x")
	c.seed("order-1", "a", "b", "c", "d", "e")
	c.seed("order-2", "y")
	whole := c.stream("order-1", eventstore.StreamRange{})
	for after := range 7 {
		for through := range 7 {
			for limit := range 7 {
				for _, backwards := range []bool{false, true} {
					in := eventstore.StreamRange{
						After: eventstore.Version(after), Through: eventstore.Version(through), Limit: limit, Backwards: backwards,
					}
					c.same(fmt.Sprintf("range %+v", in), c.stream("order-1", in), selected(whole, in))
				}
			}
		}
	}
}

// selected is the range's meaning, as plainly as it can be said.
func selected(stream []eventstore.Recorded, in eventstore.StreamRange) []eventstore.Recorded {
	var events []eventstore.Recorded
	for _, e := range stream {
		if e.Version > in.After && (in.Through == 0 || e.Version <= in.Through) {
			events = append(events, e)
		}
	}
	if in.Backwards {
		slices.Reverse(events)
	}
	if in.Limit > 0 && in.Limit < len(events) {
		events = events[:in.Limit]
	}
	return events
}

func missingStream(c *check) {
	equal(c, "events in an empty store", len(c.stream("order-1", eventstore.StreamRange{})), 0)
	c.seed("order-1", "a")
	equal(c, "events of another stream", len(c.stream("order-2", eventstore.StreamRange{Backwards: true})), 0)
}

func streamPrefix(c *check) {
	c.append(to("order-1", event("a"), event("b"), event("c")))
	seen := 0
	for _, err := range c.store.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}) {
		c.must(err, "read")
		seen++
		c.append(to("order-1", event("late")))
	}
	equal(c, "events seen while more were appended", seen, 3)
	equal(c, "events seen afterwards", len(c.stream("order-1", eventstore.StreamRange{})), 6)
}

// appendInStreamLoop hangs on a store that holds a lock, or its only connection,
// while the loop body runs.
func appendInStreamLoop(c *check) {
	c.seed("order-1", "a", "b")
	for e, err := range c.store.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}) {
		c.must(err, "read")
		c.append(to("order-1", event("echo")))
		for inner, err := range c.store.ReadStream(c.ctx, "order-1", eventstore.StreamRange{Backwards: true, Limit: 1}) {
			c.must(err, "read within the read")
			equal(c, "newest type", inner.Type, "echo")
		}
		equal(c, "head", c.head(), 2+eventstore.Position(e.Version))
	}
}

func streamEndsEarly(c *check) {
	c.append(to("order-1", event("a"), event("b"), event("c")))
	for range 200 { // more than any pool has connections
		for _, err := range c.store.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}) {
			c.must(err, "read")
			break
		}
	}
	c.seed("order-1", "d")
	equal(c, "types", types(c.stream("order-1", eventstore.StreamRange{})), "a b c d")
}

func streamTwice(c *check) {
	c.seed("order-1", "a", "b")
	read := c.store.ReadStream(c.ctx, "order-1", eventstore.StreamRange{})
	for range 2 {
		events, err := collect(read)
		c.must(err, "read")
		equal(c, "types", types(events), "a b")
	}
}

func streamCancelled(c *check) {
	c.seed("order-1", "a")
	events, err := collect(c.store.ReadStream(c.cancelled(), "order-1", eventstore.StreamRange{}))
	c.is(err, c.cancelled().Err(), "read with a cancelled context")
	equal(c, "events", len(events), 0)
}

// longStream is longer than any page an adapter may read by.
func longStream(c *check) {
	const length = 3_000
	events := make([]eventstore.EventData, length)
	for n := range events {
		events[n] = eventstore.EventData{Type: "a", Data: []byte(fmt.Sprint(n + 1))}
	}
	c.append(to("order-1", events...))
	c.seed("order-2", "x")
	for _, backwards := range []bool{false, true} {
		read := c.stream("order-1", eventstore.StreamRange{Backwards: backwards})
		equal(c, "length", len(read), length)
		for n, e := range read {
			want := n + 1
			if backwards {
				want = length - n
			}
			equal(c, "payload", string(e.Data), fmt.Sprint(want))
			equal(c, "version", e.Version, eventstore.Version(want))
		}
	}
}
