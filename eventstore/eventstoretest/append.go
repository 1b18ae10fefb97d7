package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

var appendClauses = []clause{
	{"the first event has version 1 and position 1", firstEvent},
	{"versions and positions are consecutive, over all streams", consecutive},
	{"events of one append take consecutive positions in the order of the request", requestOrder},
	{"an append to several streams is all or nothing", allOrNothing},
	{"an expected version is accepted by the streams it describes and by no others", expectedVersions},
	{"a write without events only checks its stream's version", checkOnly},
	{"two writes to one stream are refused", streamNamedTwice},
	{"an append of nothing that nothing would remember is refused", nothingAtAll},
	{"a receipt tells the position, the identity and the version of each stream named", receipts},
	{"event id and schema version have defaults, and the request is not changed", defaults},
	{"an event id may be used again: it does not make an append idempotent", eventIDTwice},
	{"an acknowledged append is seen by every read that starts afterwards", visibleOnAck},
	{"recorded_at is a time in UTC with microseconds", recordedAt},
	{"an append whose context is over gives its error and appends nothing", appendCancelled},
	{"an append whose context ends under way is appended, refused or of unknown outcome, never two of these", appendInterrupted},
}

func firstEvent(c *check) {
	receipt := c.append(expecting(eventstore.NoStream, "order-1", event("placed")))
	equal(c, "position", receipt.Token.Position, 1)
	equal(c, "version", receipt.Versions["order-1"], 1)
	equal(c, "head", c.head(), 1)
}

func consecutive(c *check) {
	for n := range 12 {
		c.append(to(eventstore.NewStreamID("order", fmt.Sprint(n%3)), event("placed"), event("paid")))
	}
	versions := map[eventstore.StreamID]eventstore.Version{}
	for n, e := range c.log(eventstore.LogQuery{}) {
		versions[e.Stream]++
		equal(c, "position", e.Position, eventstore.Position(n+1))
		equal(c, "version in "+string(e.Stream), e.Version, versions[e.Stream])
	}
	equal(c, "head", c.head(), 24)
}

func requestOrder(c *check) {
	c.seed("order-1", "before")
	c.append(eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-9", Events: []eventstore.EventData{event("a"), event("b")}},
		{Stream: "order-1", Events: []eventstore.EventData{event("c")}},
		{Stream: "order-5", Events: []eventstore.EventData{event("d"), event("e")}},
	}})
	events := c.log(eventstore.LogQuery{After: 1})
	equal(c, "order in the log", types(events), "a b c d e")
	equal(c, "last position", events[4].Position, 6)
	equal(c, "version in the stream that existed", events[2].Version, 2)
}

// allOrNothing refuses the last write each time: a store that writes as it checks
// has the first ones in the log by then.
func allOrNothing(c *check) {
	c.seed("order-1", "placed")
	c.refused(eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-2", Events: []eventstore.EventData{event("placed")}},
		{Stream: "order-1", Expected: eventstore.NoStream, Events: []eventstore.EventData{event("placed")}},
	}}, eventstore.ErrVersionConflict, "the second write is wrong")
	equal(c, "events of the first write's stream", len(c.stream("order-2", eventstore.StreamRange{})), 0)
	equal(c, "types in the log", types(c.log(eventstore.LogQuery{})), "placed")

	receipt := c.append(expecting(eventstore.NoStream, "order-2", event("placed")))
	equal(c, "position after the refusal, gap-free", receipt.Token.Position, 2)
}

func expectedVersions(c *check) {
	streams := map[eventstore.StreamID]eventstore.Version{"order-none": 0, "order-one": 1, "order-three": 3}
	c.seed("order-one", "a")
	c.seed("order-three", "a", "b", "c")
	beliefs := []eventstore.ExpectedVersion{
		eventstore.NoStream, eventstore.StreamExists, eventstore.Exactly(0), eventstore.Exactly(1),
		eventstore.Exactly(2), eventstore.Exactly(3), eventstore.Exactly(4), eventstore.Any,
	}
	for stream, actual := range streams {
		for _, expected := range beliefs {
			if expected.Accepts(actual) {
				continue // tried below: it changes the version
			}
			conflict := refusedAs[*eventstore.VersionConflictError](c, expecting(expected, stream, event("x")), expected.String())
			c.is(conflict, eventstore.ErrVersionConflict, "typed conflict")
			equal(c, "conflict", *conflict, eventstore.VersionConflictError{Stream: stream, Expected: expected, Actual: actual})
		}
	}
	for stream, actual := range streams {
		for _, expected := range beliefs {
			if expected.Accepts(actual) {
				actual++
				receipt := c.append(expecting(expected, stream, event("y")))
				equal(c, "version after "+expected.String(), receipt.Versions[stream], actual)
			}
		}
	}
}

func checkOnly(c *check) {
	c.seed("order-1", "placed")
	watching := func(expected eventstore.ExpectedVersion) eventstore.AppendRequest {
		return eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: "order-1", Expected: expected},
			{Stream: "order-2", Events: []eventstore.EventData{event("placed")}},
		}}
	}
	c.refused(watching(eventstore.Exactly(2)), eventstore.ErrVersionConflict, "a checked stream is behind")
	c.refused(watching(eventstore.NoStream), eventstore.ErrVersionConflict, "a checked stream exists")
	receipt := c.append(watching(eventstore.Exactly(1)))
	equal(c, "version of the checked stream", receipt.Versions["order-1"], 1)
	equal(c, "its events", len(c.stream("order-1", eventstore.StreamRange{})), 1)
	equal(c, "head", c.head(), 2)
}

func streamNamedTwice(c *check) {
	c.refused(eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Events: []eventstore.EventData{event("a")}},
		{Stream: "order-2", Events: []eventstore.EventData{event("b")}},
		{Stream: "order-1", Events: []eventstore.EventData{event("c")}},
	}}, eventstore.ErrInvalid, "one stream in two writes")
}

func nothingAtAll(c *check) {
	c.refused(eventstore.AppendRequest{}, eventstore.ErrInvalid, "no writes, no command id")
	c.refused(to("order-1"), eventstore.ErrInvalid, "no events, no command id")
}

func receipts(c *check) {
	c.seed("order-1", "placed", "paid")
	request := eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Expected: eventstore.Exactly(2)},
		{Stream: "order-2", Events: []eventstore.EventData{event("a"), event("b"), event("c")}},
		{Stream: "order-3", Expected: eventstore.NoStream},
	}}
	receipt := c.append(request)
	head, err := c.store.Head(c.ctx)
	c.must(err, "head")
	want := eventstore.Receipt{Token: head, Versions: map[eventstore.StreamID]eventstore.Version{"order-1": 2, "order-2": 3, "order-3": 0}}
	equal(c, "head", head.Position, 5)
	if receipt.Repeated || !equalReceipts(receipt, want) {
		c.fatalf("receipt: got %+v, want %+v", receipt, want)
	}
}

func defaults(c *check) {
	bare := []eventstore.EventData{{Type: "a"}, {Type: "b", SchemaVersion: 7}}
	c.append(to("order-1", bare...))
	events := c.stream("order-1", eventstore.StreamRange{})
	if events[0].ID.IsZero() || events[1].ID.IsZero() || events[0].ID == events[1].ID {
		c.fatalf("event ids were not made: %v and %v", events[0].ID, events[1].ID)
	}
	equal(c, "default schema version", events[0].SchemaVersion, 1)
	equal(c, "given schema version", events[1].SchemaVersion, 7)
	if !bare[0].ID.IsZero() || bare[0].SchemaVersion != 0 {
		c.fatalf("the caller's request was changed: %+v", bare[0])
	}
}

func eventIDTwice(c *check) {
	again := event("placed")
	c.append(to("order-1", again))
	c.append(to("order-1", again))
	c.append(to("order-2", again))
	equal(c, "head", c.head(), 3)
}

// visibleOnAck reads from a goroutine of its own: what an append's own connection
// sees is no proof that others do.
func visibleOnAck(c *check) {
	for n := range c.rounds(200) {
		stream := eventstore.NewStreamID("order", fmt.Sprint(n%4))
		receipt := c.append(to(stream, event("placed"), event("paid")))
		var problem error
		together(1, func(int) { problem = c.visible(stream, receipt) })
		c.must(problem, "after the append was acknowledged")
	}
}

func (c *check) visible(stream eventstore.StreamID, receipt eventstore.Receipt) error {
	newest, err := collect(c.store.ReadStream(c.ctx, stream, eventstore.StreamRange{Backwards: true, Limit: 1}))
	if err != nil || len(newest) != 1 || newest[0].Version != receipt.Versions[stream] {
		return fmt.Errorf("stream ends with %v (error %v), want version %d", newest, err, receipt.Versions[stream])
	}
	head, err := c.store.Head(c.ctx)
	if err != nil || head != receipt.Token {
		return fmt.Errorf("head is %v (error %v), want %v", head, err, receipt.Token)
	}
	read, err := c.store.ReadLog(c.ctx, eventstore.LogQuery{After: receipt.Token.Position - 2})
	if err != nil {
		return err
	}
	if events, err := collect(read.Events()); err != nil || len(events) != 2 {
		return fmt.Errorf("log ends with %v (error %v), want the two events", events, err)
	}
	return nil
}

func recordedAt(c *check) {
	before := time.Now()
	c.seed("order-1", "placed")
	e := c.stream("order-1", eventstore.StreamRange{})[0]
	if e.RecordedAt.Location() != time.UTC || e.RecordedAt.Nanosecond()%1000 != 0 {
		c.fatalf("recorded at %v, want UTC with microseconds", e.RecordedAt)
	}
	if off := e.RecordedAt.Sub(before).Abs(); off > time.Hour {
		c.fatalf("recorded at %v, that is %v away from now", e.RecordedAt, off)
	}
	c.same("event from the log and from the stream", c.log(eventstore.LogQuery{}), []eventstore.Recorded{e})
}

func appendCancelled(c *check) {
	c.seed("order-1", "placed")
	_, err := c.store.Append(c.cancelled(), to("order-1", event("paid")))
	c.is(err, c.cancelled().Err(), "append with a cancelled context")
	equal(c, "head", c.head(), 1)
	equal(c, "types in the stream", types(c.stream("order-1", eventstore.StreamRange{})), "placed")
}

// appendInterrupted lets contexts end before, during and after appends. A client repeats what
// was refused and asks about what is unknown; an error that says both makes it append twice.
func appendInterrupted(c *check) {
	rounds := c.rounds(100)
	errs := make([]error, rounds)
	stream := func(n int) eventstore.StreamID { return eventstore.NewStreamID("order", fmt.Sprint(n)) }
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(c.ctx, time.Duration(n)*2*time.Millisecond/time.Duration(rounds))
			defer cancel()
			_, errs[n] = c.store.Append(ctx, to(stream(n), event("placed")))
		})
	}
	all.Wait()
	for n, err := range errs {
		unknown := errors.Is(err, eventstore.ErrOutcomeUnknown)
		for _, refusal := range []error{context.DeadlineExceeded, eventstore.ErrStoreBusy, eventstore.ErrClosed} {
			if unknown && errors.Is(err, refusal) {
				c.fatalf("an append is of unknown outcome and refused at once, as %q: %v", refusal, err)
			}
		}
		if unknown {
			continue
		}
		want := 1
		if err != nil {
			want = 0
		}
		equal(c, fmt.Sprintf("events of an append that gave %v", err), len(c.stream(stream(n), eventstore.StreamRange{})), want)
	}
}
