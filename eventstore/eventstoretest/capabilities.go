package eventstoretest

import (
	"errors"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

var capabilityClauses = []clause{
	{"a part that the store excludes is refused with ErrUnsupported and nothing changes", excludedRefused},
	{"a part that the store does not exclude it does", notExcludedDone},
	{"a command id is known as far as the store says", commandScope},
	{"a store takes appends unless it says that it is read-only", readOnlyOrNot},
}

func (c *check) capabilities() eventstore.Capabilities {
	capable, ok := c.store.(eventstore.Capable)
	if !ok {
		c.skip("the store is no eventstore.Capable")
	}
	can, err := capable.Capabilities(c.ctx)
	c.must(err, "ask for the capabilities")
	return can
}

// parts use each part of the contract that may be excluded. They find a stream order-1 at
// version 1, and nothing else.
var parts = map[eventstore.Part]func(c *check) error{
	eventstore.Conditions: func(c *check) error {
		_, err := c.store.Append(c.ctx, unless(to("order-2", event("b")), eventstore.Types("none"), 0))
		return err
	},
	eventstore.SeveralStreams: func(c *check) error {
		_, err := c.store.Append(c.ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: "order-2", Events: []eventstore.EventData{event("b")}}, {Stream: "order-3", Events: []eventstore.EventData{event("c")}},
		}})
		return err
	},
	eventstore.EmptyAppends: func(c *check) error {
		_, err := c.store.Append(c.ctx, named(eventstore.AppendRequest{}, "nothing", ""))
		return err
	},
	eventstore.Deletion: func(c *check) error {
		d, ok := c.store.(eventstore.StreamDeleter)
		if !ok {
			return &eventstore.UnsupportedError{Part: eventstore.Deletion}
		}
		_, err := d.DeleteStream(c.ctx, "order-1", eventstore.Any)
		return err
	},
	eventstore.Pruning: func(c *check) error {
		p, ok := c.store.(eventstore.CommandPruner)
		if !ok {
			return &eventstore.UnsupportedError{Part: eventstore.Pruning}
		}
		_, err := p.PruneCommands(c.ctx, time.Unix(0, 0))
		return err
	},
	eventstore.Importing: func(c *check) error {
		p, ok := c.store.(eventstore.Portable)
		if !ok {
			return &eventstore.UnsupportedError{Part: eventstore.Importing}
		}
		_, err := p.BeginImport(c.ctx, eventstore.NewStoreID())
		if errors.Is(err, eventstore.ErrNotEmpty) {
			return nil // so it is
		}
		return err
	},
}

func excludedRefused(c *check) {
	can := c.capabilities()
	c.seed("order-1", "a")
	before := c.log(eventstore.LogQuery{})
	for part, use := range parts {
		if !can.Excludes(part) {
			continue
		}
		c.refuses(use(c), part)
		c.same("log after "+string(part), c.log(eventstore.LogQuery{}), before)
		c.same("stream after "+string(part), c.stream("order-1", eventstore.StreamRange{}), before)
		_, known, err := c.store.LookupCommand(c.ctx, command("nothing", ""))
		c.must(err, "look up the command of a refused append")
		equal(c, "a refused append is remembered", known, false)
	}
}

// refuses fails the clause unless the error says that the part is not supported.
func (c *check) refuses(err error, part eventstore.Part) {
	if !errors.Is(err, eventstore.ErrUnsupported) {
		c.fatalf("%s: got error %v, want %q", part, err, eventstore.ErrUnsupported)
	}
}

func notExcludedDone(c *check) {
	can := c.capabilities()
	for part, use := range parts {
		if can.Excludes(part) {
			continue
		}
		c.store = c.another() // a part must not live on what another one left
		c.seed("order-1", "a")
		if err := use(c); err != nil {
			c.fatalf("%s: %v", part, err)
		}
	}
}

func commandScope(c *check) {
	can := c.capabilities()
	c.append(named(to("order-1", event("a")), "place", ""))
	elsewhere := c.append(named(to("order-2", event("a")), "place", ""))
	equal(c, "the id is known on another stream", elsewhere.Repeated, can.CommandScope == eventstore.WholeStore)
	again := c.append(named(to("order-1", event("a")), "place", ""))
	equal(c, "the id is known on its own stream", again.Repeated, true)
}

func readOnlyOrNot(c *check) {
	can := c.capabilities()
	_, err := c.store.Append(c.ctx, to("order-1", event("a")))
	equal(c, "the store says that it is read-only", can.ReadOnly, err != nil)
}
