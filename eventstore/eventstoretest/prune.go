package eventstoretest

import (
	"context"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

var pruneClauses = []clause{
	{"a pruned command id is a new one, and a later one is still known", prunedIsNew},
	{"a command id that was recorded at the time itself is not pruned", prunedBefore},
	{"the command of an append of no events is pruned with those around it", pruneEmpty},
	{"pruning changes nothing in the log", pruneKeepsLog},
	{"what is appended under a command id while it is pruned is remembered", pruneRaces},
	{"a pruning whose context is over gives its error and forgets nothing", pruneCancelled},
}

func (c *check) pruner() eventstore.CommandPruner {
	p, ok := c.store.(eventstore.CommandPruner)
	if !ok {
		c.skip("the store is no eventstore.CommandPruner")
	}
	if can, err := eventstore.CapabilitiesOf(c.ctx, c.store); err == nil && can.Excludes(eventstore.Pruning) {
		c.skip("the store excludes " + string(eventstore.Pruning))
	}
	return p
}

// prune forgets the command ids of before a time, which must be so many.
func (c *check) prune(before time.Time, want int64) {
	pruned, err := c.pruner().PruneCommands(c.ctx, before)
	c.must(err, "prune the command ids of before %s", before)
	equal(c, "command ids pruned", pruned, want)
}

// later appends until the store's clock has moved on: what was appended before is older than the
// time that it returns, and what comes is not.
func (c *check) later() time.Time {
	c.seed("tick-1", "tick")
	for before := c.newest(); ; {
		c.seed("tick-1", "tick")
		if at := c.newest(); at.After(before) {
			return at
		}
	}
}

// newest returns the time of the last event.
func (c *check) newest() time.Time {
	return c.log(eventstore.LogQuery{After: c.head() - 1})[0].RecordedAt
}

func (c *check) knows(id string) bool {
	_, known, err := c.store.LookupCommand(c.ctx, eventstore.Command{ID: eventstore.NewCommandID(id)})
	c.must(err, "look up command %s", id)
	return known
}

func prunedIsNew(c *check) {
	c.pruner()
	c.append(named(to("order-1", event("a")), "old", "one book"))
	cut := c.later()
	young := c.append(named(to("order-1", event("b")), "young", ""))
	c.prune(cut, 1)
	equal(c, "a pruned id is known", c.knows("old"), false)
	again := c.append(named(to("order-1", event("a")), "old", "two books")) // even the hash is free
	equal(c, "Repeated after the pruning", again.Repeated, false)
	equal(c, "types", types(c.stream("order-1", eventstore.StreamRange{})), "a b a")
	c.repeats(c.append(named(to("order-1", event("a")), "old", "two books")), again)
	c.repeats(c.append(named(to("order-1", event("b")), "young", "")), young)
	c.prune(cut, 0)
}

func prunedBefore(c *check) {
	c.pruner()
	request := named(to("order-1", event("a")), "place", "")
	first := c.append(request)
	c.prune(time.Time{}, 0)
	c.prune(c.newest(), 0)
	c.repeats(c.append(request), first)
}

// pruneEmpty leaves no event between the last two: both stand at the head.
func pruneEmpty(c *check) {
	c.pruner()
	c.append(named(eventstore.AppendRequest{}, "before all", ""))
	c.seed("order-1", "a")
	c.append(named(expecting(eventstore.Exactly(1), "order-1"), "watch", ""))
	cut := c.later()
	young := c.append(named(eventstore.AppendRequest{}, "young", ""))
	c.prune(cut, 2)
	for _, id := range []string{"before all", "watch"} {
		equal(c, id+" is known", c.knows(id), false)
	}
	c.repeats(c.append(named(eventstore.AppendRequest{}, "young", "")), young)
	c.prune(c.later(), 1)
}

func pruneKeepsLog(c *check) {
	c.pruner()
	c.append(named(to("order-1", event("a", "k:1"), event("b")), "place", ""))
	cut := c.later()
	before, head := c.log(eventstore.LogQuery{}), c.head()
	c.prune(cut, 1)
	c.same("log", c.log(eventstore.LogQuery{}), before)
	c.same("stream", c.stream("order-1", eventstore.StreamRange{}), before[:2])
	c.same("events by tag", c.log(eventstore.LogQuery{Query: eventstore.Tagged("k:1")}), before[:1])
	equal(c, "head", c.head(), head)
}

// pruneRaces repeats each command until its id is free. A store that notes the ids first and
// forgets them later forgets the new append too.
func pruneRaces(c *check) {
	const commands = 16
	pruner := c.pruner()
	request := func(i int) eventstore.AppendRequest {
		return named(to(eventstore.NewStreamID("racer", fmt.Sprint(i)), event("a")), fmt.Sprint("racer ", i), "")
	}
	for i := range commands {
		c.append(request(i))
	}
	cut := c.later()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	var pruned int64
	errs := make([]error, commands+1)
	together(commands+1, func(i int) {
		if i == commands {
			if pruned, errs[i] = pruner.PruneCommands(ctx, cut); errs[i] != nil {
				cancel()
			}
			return
		}
		for repeated := true; repeated && errs[i] == nil; {
			var receipt eventstore.Receipt
			receipt, errs[i] = c.store.Append(ctx, request(i))
			repeated = receipt.Repeated
		}
	})
	c.must(errs[commands], "prune")
	for i := range commands {
		c.must(errs[i], "append")
		equal(c, fmt.Sprint("the new append of command ", i, " is known"), c.knows(fmt.Sprint("racer ", i)), true)
		equal(c, "events of its stream", len(c.stream(eventstore.NewStreamID("racer", fmt.Sprint(i)), eventstore.StreamRange{})), 2)
	}
	equal(c, "command ids pruned", pruned, commands)
}

func pruneCancelled(c *check) {
	c.append(named(to("order-1", event("a")), "place", ""))
	_, err := c.pruner().PruneCommands(c.cancelled(), c.later())
	c.is(err, c.cancelled().Err(), "prune with a cancelled context")
	equal(c, "the command is known", c.knows("place"), true)
}

func reopenedPruned(c *check) {
	c.pruner()
	c.append(named(to("order-1", event("a")), "old", ""))
	cut := c.later()
	c.append(named(to("order-1", event("b")), "young", ""))
	c.prune(cut, 1)
	c.reopen()
	equal(c, "the pruned id is known", c.knows("old"), false)
	equal(c, "the other one is known", c.knows("young"), true)
}
