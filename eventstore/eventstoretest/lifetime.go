package eventstoretest

import (
	"context"

	"github.com/leftfold/leftfold/eventstore"
)

var lifetimeClauses = []clause{
	{"a closed store refuses appends with ErrClosed", closedRefuses},
}

// restartClauses run for stores that can be opened again, see [Options].Reopen.
var restartClauses = []clause{
	{"a store that is opened again has every event, with its bytes, and its identity", reopenedLog},
	{"a store that is opened again knows every command", reopenedCommands},
	{"a store that is opened again goes on where it stopped", reopenedGoesOn},
	{"a store that is opened again keeps deleted streams deleted", reopenedDeleted},
	{"a store that is opened again has forgotten the command ids that were pruned", reopenedPruned},
	{"a store that is opened again after an import goes on behind it", reopenedImported},
	{"a store that is opened again during an import lets nobody append until it is finished", reopenedImporting},
}

func closedRefuses(c *check) {
	closer, ok := c.store.(interface{ Close(context.Context) error })
	if !ok {
		c.skip("the store has no Close(context.Context) error")
	}
	request := named(to("order-1", event("a")), "place", "")
	c.append(request)
	c.must(closer.Close(c.ctx), "close")
	for range 2 {
		_, err := c.store.Append(c.ctx, to("order-1", event("b")))
		c.is(err, eventstore.ErrClosed, "append to a closed store")
	}
}

func reopenedLog(c *check) {
	c.shop()
	binary := event("binary", "k:1")
	binary.Data, binary.Metadata = everyByte(), []byte{0}
	c.append(to("binary-1", binary))
	identity, before := c.identity(), c.log(eventstore.LogQuery{})
	c.reopen()
	equal(c, "identity", c.identity(), identity)
	c.same("log", c.log(eventstore.LogQuery{}), before)
	for _, q := range queries {
		query := eventstore.LogQuery{Query: q.query, Through: 8}
		c.same(q.name, c.log(query), within(before, query))
	}
}

func reopenedCommands(c *check) {
	request := named(to("order-1", event("a")), "place", "x")
	first := c.append(request)
	empty := c.append(named(eventstore.AppendRequest{}, "nothing", ""))
	c.reopen()
	c.repeats(c.append(request), first)
	c.repeats(c.append(named(eventstore.AppendRequest{}, "nothing", "")), empty)
	c.refused(named(to("order-1", event("a")), "place", "y"), eventstore.ErrIdempotencyMismatch, "another payload")
}

func reopenedGoesOn(c *check) {
	c.append(to("order-1", event("a"), event("b")))
	c.refused(expecting(eventstore.NoStream, "order-1", event("x")), eventstore.ErrVersionConflict, "a refusal leaves no gap")
	c.reopen()
	receipt := c.append(expecting(eventstore.Exactly(2), "order-1", event("c")))
	equal(c, "position", receipt.Token.Position, 3)
	equal(c, "types", types(c.stream("order-1", eventstore.StreamRange{})), "a b c")
}

func reopenedDeleted(c *check) {
	c.deleter()
	c.seed("order-1", "a")
	c.delete("order-1", eventstore.Any)
	c.reopen()
	c.refused(to("order-1", event("x")), eventstore.ErrStreamDeleted, "a deleted stream")
}
