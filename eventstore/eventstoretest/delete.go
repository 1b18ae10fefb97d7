package eventstoretest

import (
	"math"
	"strconv"

	"github.com/leftfold/leftfold/eventstore"
)

var deleteClauses = []clause{
	{"a deletion appends a tombstone and receipts it", tombstone},
	{"a deleted stream refuses appends, whatever they expect", deletedRefuses},
	{"reads of a deleted stream yield ErrStreamDeleted once and nothing else", deletedReads},
	{"the log still has every event of a deleted stream", logKeepsDeleted},
	{"a deletion with a wrong expected version is refused", deleteWrongVersion},
	{"a stream without events cannot be deleted", deleteMissing},
	{"a deletion that expects a negative version is refused", deleteNegative},
	{"a stream cannot be deleted twice", deleteTwice},
	{"a deletion whose context is over gives its error and deletes nothing", deleteCancelled},
}

func (c *check) deleter() eventstore.StreamDeleter {
	d, ok := c.store.(eventstore.StreamDeleter)
	if !ok {
		c.skip("the store is no eventstore.StreamDeleter")
	}
	if can, err := eventstore.CapabilitiesOf(c.ctx, c.store); err == nil && can.Excludes(eventstore.Deletion) {
		c.skip("the store excludes " + string(eventstore.Deletion))
	}
	return d
}

func (c *check) delete(stream eventstore.StreamID, expected eventstore.ExpectedVersion) eventstore.Receipt {
	receipt, err := c.deleter().DeleteStream(c.ctx, stream, expected)
	c.must(err, "delete %s", stream)
	return receipt
}

func (c *check) notDeleted(stream eventstore.StreamID, expected eventstore.ExpectedVersion, target error) {
	before := c.head()
	_, err := c.deleter().DeleteStream(c.ctx, stream, expected)
	c.is(err, target, "delete %q expecting %s", stream, expected)
	equal(c, "head after a refused deletion", c.head(), before)
}

func tombstone(c *check) {
	c.deleter()
	c.seed("order-1", "a", "b")
	receipt := c.delete("order-1", eventstore.Exactly(2))
	equal(c, "position", receipt.Token.Position, 3)
	equal(c, "version", receipt.Versions["order-1"], 3)
	last := c.log(eventstore.LogQuery{After: 2})
	equal(c, "types after the deletion", types(last), eventstore.TombstoneType)
	equal(c, "tombstone's stream", last[0].Stream, "order-1")
	equal(c, "tombstone's version", last[0].Version, 3)
	equal(c, "tombstone has an id", last[0].ID.IsZero(), false)
	equal(c, "tombstones by type", len(c.log(eventstore.LogQuery{Query: eventstore.Types(eventstore.TombstoneType)})), 1)
}

func deletedRefuses(c *check) {
	c.deleter()
	c.seed("order-1", "a")
	c.delete("order-1", eventstore.Any)
	for _, expected := range []eventstore.ExpectedVersion{
		eventstore.Any, eventstore.NoStream, eventstore.StreamExists, eventstore.Exactly(1), eventstore.Exactly(2),
	} {
		c.refused(expecting(expected, "order-1", event("x")), eventstore.ErrStreamDeleted, expected.String())
	}
	c.refused(eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-2", Events: []eventstore.EventData{event("x")}},
		{Stream: "order-1"},
	}}, eventstore.ErrStreamDeleted, "a write that only checks")
	c.append(to("order-2", event("x")))
}

func deletedReads(c *check) {
	c.deleter()
	c.seed("order-1", "a", "b")
	c.delete("order-1", eventstore.Any)
	for _, in := range []eventstore.StreamRange{{}, {Backwards: true}, {After: 9}, {Through: 1}, {Limit: 1}} {
		events, err := collect(c.store.ReadStream(c.ctx, "order-1", in))
		c.is(err, eventstore.ErrStreamDeleted, "read a deleted stream, %+v", in)
		equal(c, "events", len(events), 0)
	}
}

func logKeepsDeleted(c *check) {
	c.deleter()
	c.append(to("order-1", event("a", "k:1"), event("b", "k:1")))
	before := c.log(eventstore.LogQuery{})
	c.delete("order-1", eventstore.Any)
	c.same("events before the tombstone", c.log(eventstore.LogQuery{Through: 2}), before)
	c.same("events by tag", c.log(eventstore.LogQuery{Query: eventstore.Tagged("k:1")}), before)
	c.refused(unless(to("order-2", event("x")), eventstore.Tagged("k:1"), 0), eventstore.ErrConditionFailed, "a deleted stream's event")
}

func deleteWrongVersion(c *check) {
	c.deleter()
	c.seed("order-1", "a", "b")
	c.notDeleted("order-1", eventstore.Exactly(1), eventstore.ErrVersionConflict)
	c.notDeleted("order-1", eventstore.NoStream, eventstore.ErrVersionConflict)
	equal(c, "types", types(c.stream("order-1", eventstore.StreamRange{})), "a b")
	c.delete("order-1", eventstore.StreamExists)
}

func deleteMissing(c *check) {
	c.deleter()
	for _, expected := range []eventstore.ExpectedVersion{eventstore.Any, eventstore.NoStream, eventstore.StreamExists, eventstore.Exactly(1)} {
		c.notDeleted("order-1", expected, eventstore.ErrVersionConflict)
	}
	c.notDeleted("nodash", eventstore.Any, eventstore.ErrInvalid)
	c.append(expecting(eventstore.NoStream, "order-1", event("a")))
}

func deleteNegative(c *check) {
	c.deleter()
	c.seed("order-1", "a")
	for _, stream := range []eventstore.StreamID{"order-1", "order-2"} {
		for _, version := range []eventstore.Version{-1, -2, -3, math.MinInt64} {
			c.notDeleted(stream, eventstore.Exactly(version), eventstore.ErrInvalid)
		}
	}
	equal(c, "types", types(c.stream("order-1", eventstore.StreamRange{})), "a")
}

// deleteTwice asks in every way, of streams of several lengths: a store that tells a deleted
// stream by its version with a sign may take one of them for what was expected.
func deleteTwice(c *check) {
	c.deleter()
	for length := range 4 {
		stream := eventstore.NewStreamID("order", strconv.Itoa(length))
		for range length + 1 {
			c.append(to(stream, event("a")))
		}
		c.delete(stream, eventstore.Any)
		for _, expected := range []eventstore.ExpectedVersion{
			eventstore.Any, eventstore.NoStream, eventstore.StreamExists, eventstore.Exactly(1), eventstore.Exactly(2), eventstore.Exactly(3), eventstore.Exactly(4),
		} {
			c.notDeleted(stream, expected, eventstore.ErrStreamDeleted)
		}
	}
}

func deleteCancelled(c *check) {
	c.seed("order-1", "a")
	_, err := c.deleter().DeleteStream(c.cancelled(), "order-1", eventstore.Any)
	c.is(err, c.cancelled().Err(), "delete with a cancelled context")
	equal(c, "types", types(c.stream("order-1", eventstore.StreamRange{})), "a")
}
