package eventstoretest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

var commandClauses = []clause{
	{"a repeat appends nothing and gets the first receipt, marked Repeated", repeatGetsFirst},
	{"a command id is looked up before the expected version", beforeVersion},
	{"a command id is looked up before the condition", beforeCondition},
	{"a command id is looked up before deletion", beforeDeletion},
	{"a repeat is known by its command, whatever events and event ids it brings", repeatWithOtherEvents},
	{"the same id with another command's hash is ErrIdempotencyMismatch", hashMismatch},
	{"a zero hash is not compared", zeroHash},
	{"an append of no events is remembered, and receipts the head", emptyAppendRemembered},
	{"a refused append is not remembered", refusalForgotten},
	{"an append without a command id is not idempotent", noCommandID},
	{"LookupCommand tells a known command, an unknown one and a mismatch", lookupCommand},
	{"a lookup finds the command behind every event that a reader has seen", lookupOfTheSeen},
	{"sixteen racers under one id make one append and get equal receipts", racingRepeats},
	{"one command may append to two streams; killed in between and retried, it ends with both", twoAppendsOneCommand},
}

func repeatGetsFirst(c *check) {
	c.seed("order-9", "x")
	request := named(eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Events: []eventstore.EventData{event("a"), event("b")}},
		{Stream: "order-9", Expected: eventstore.Exactly(1)},
	}}, "place", "")
	first := c.append(request)
	if first.Repeated {
		c.fatalf("the first append is marked Repeated")
	}
	c.seed("order-1", "later")
	c.seed("order-9", "later")
	for range 3 {
		c.repeats(c.append(request), first)
	}
	equal(c, "head", c.head(), 5)
}

func beforeVersion(c *check) {
	first := c.append(named(expecting(eventstore.NoStream, "order-1", event("a")), "place", ""))
	c.repeats(c.append(named(expecting(eventstore.NoStream, "order-1", event("a")), "place", "")), first)
	c.repeats(c.append(named(expecting(eventstore.Exactly(7), "order-1", event("a")), "place", "")), first)
	equal(c, "head", c.head(), 1)
}

// beforeCondition repeats a command whose own event is what its condition forbids.
func beforeCondition(c *check) {
	query := eventstore.Tagged("seat:1")
	request := named(unless(to("seat-1", event("taken", "seat:1")), query, 0), "take", "")
	first := c.append(request)
	c.repeats(c.append(request), first)
	c.repeats(c.append(named(unless(to("seat-1", event("taken")), query, 99), "take", "")), first)
	equal(c, "head", c.head(), 1)
}

func beforeDeletion(c *check) {
	request := named(to("order-1", event("a")), "place", "")
	first := c.append(request)
	_, err := c.deleter().DeleteStream(c.ctx, "order-1", eventstore.Any)
	c.must(err, "delete")
	c.repeats(c.append(request), first)
	equal(c, "head", c.head(), 2)
}

// repeatWithOtherEvents is what a retried decision does: it has seen more events, so
// it makes others, with new ids.
func repeatWithOtherEvents(c *check) {
	first := c.append(named(to("order-1", event("a"), event("b")), "place", "payload"))
	repeats := []eventstore.AppendRequest{to("order-1", event("a"), event("b")), to("order-1", event("other"))}
	if c.commandScope() == eventstore.WholeStore {
		repeats = append(repeats, to("order-2", event("elsewhere"), event("and more")), eventstore.AppendRequest{})
	}
	for _, request := range repeats {
		c.repeats(c.append(named(request, "place", "payload")), first)
	}
	equal(c, "types in the log", types(c.log(eventstore.LogQuery{})), "a b")
}

func hashMismatch(c *check) {
	request := to("order-1", event("a"))
	first := c.append(named(request, "place", "one book"))
	c.refused(named(request, "place", "two books"), eventstore.ErrIdempotencyMismatch, "another payload")
	c.refused(named(expecting(eventstore.NoStream, "order-1", event("a")), "place", "two books"),
		eventstore.ErrIdempotencyMismatch, "another payload and a wrong version")
	c.repeats(c.append(named(request, "place", "one book")), first)
	c.append(named(request, "pay", "two books"))
}

func zeroHash(c *check) {
	hashed, bare := named(to("order-1", event("a")), "hashed", "x"), named(to("order-1", event("b")), "bare", "x")
	bare.Command.Hash = eventstore.CommandHash{}
	firstHashed, firstBare := c.append(hashed), c.append(bare)

	hashed.Command.Hash = eventstore.CommandHash{}
	c.repeats(c.append(hashed), firstHashed)
	bare.Command.Hash = eventstore.HashCommand("bare", nil)
	c.repeats(c.append(bare), firstBare)
	equal(c, "head", c.head(), 2)
}

func emptyAppendRemembered(c *check) {
	c.seed("order-1", "a", "b")
	nothing := named(eventstore.AppendRequest{}, "nothing", "")
	first := c.append(nothing)
	equal(c, "position", first.Token.Position, 2)
	watching := named(expecting(eventstore.Exactly(2), "order-1"), "watch", "")
	watched := c.append(watching)
	equal(c, "version", watched.Versions["order-1"], 2)
	equal(c, "head", c.head(), 2)

	c.seed("order-1", "c")
	c.repeats(c.append(nothing), first)
	c.repeats(c.append(watching), watched)
	c.repeats(c.append(named(to("order-1", event("now with events")), "nothing", "")), first)
	equal(c, "head", c.head(), 3)
}

func refusalForgotten(c *check) {
	c.seed("order-1", "a", "b")
	refusals := map[string]struct {
		request eventstore.AppendRequest
		target  error
	}{
		"version":   {expecting(eventstore.NoStream, "order-1", event("x")), eventstore.ErrVersionConflict},
		"condition": {unless(to("order-1", event("x")), eventstore.Types("a"), 0), eventstore.ErrConditionFailed},
		"ahead":     {unless(to("order-1", event("x")), eventstore.Types("a"), 99), eventstore.ErrAheadOfLog},
		"name":      {to("bad", event("x")), eventstore.ErrInvalid},
	}
	for id, refusal := range refusals {
		c.refused(named(refusal.request, id, "wrong"), refusal.target, id)
		_, found, err := c.store.LookupCommand(c.ctx, command(id, "wrong"))
		if found || err != nil {
			c.fatalf("a refused %s was remembered: found %v, error %v", id, found, err)
		}
		receipt := c.append(named(to("order-1", event("x")), id, "put right")) // even the hash is free
		equal(c, "Repeated after a refusal", receipt.Repeated, false)
	}
}

func noCommandID(c *check) {
	request := to("order-1", event("a"))
	request.Command.Hash = eventstore.HashCommand("a", nil)
	for range 2 {
		equal(c, "Repeated", c.append(request).Repeated, false)
	}
	equal(c, "head", c.head(), 2)
	_, found, err := c.store.LookupCommand(c.ctx, request.Command)
	if found || err != nil {
		c.fatalf("the zero id is known: found %v, error %v", found, err)
	}
}

func lookupCommand(c *check) {
	_, found, err := c.store.LookupCommand(c.ctx, command("place", "x"))
	if found || err != nil {
		c.fatalf("lookup before the append: found %v, error %v", found, err)
	}
	first := c.append(named(to("order-1", event("a")), "place", "x"))
	c.seed("order-1", "later")
	receipt, found, err := c.store.LookupCommand(c.ctx, command("place", "x"))
	if !found || err != nil {
		c.fatalf("lookup after the append: found %v, error %v", found, err)
	}
	c.repeats(receipt, first)
	receipt, found, err = c.store.LookupCommand(c.ctx, eventstore.Command{ID: eventstore.NewCommandID("place")})
	if !found || err != nil {
		c.fatalf("lookup without a hash: found %v, error %v", found, err)
	}
	c.repeats(receipt, first)
	_, _, err = c.store.LookupCommand(c.ctx, command("place", "y"))
	c.is(err, eventstore.ErrIdempotencyMismatch, "lookup with another hash")
	_, _, err = c.store.LookupCommand(c.cancelled(), command("place", "x"))
	c.is(err, c.cancelled().Err(), "lookup with a cancelled context")
}

// lookupOfTheSeen is what a refused decision relies on: it has read the events of a
// twin of its own command, and asks whose they are. A store that shows events first
// and remembers their command later answers "nobody's".
func lookupOfTheSeen(c *check) {
	commands := c.rounds(300)
	payload := func(n int) string { return fmt.Sprint("command ", n) }
	var writeErr error
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := range commands {
			if _, err := c.store.Append(c.ctx, named(to("order-1", event(payload(n))), payload(n), "")); err != nil {
				writeErr = err
				return
			}
		}
	})
	for after := eventstore.Position(0); after < eventstore.Position(commands); {
		c.must(eventstore.WaitAppended(c.ctx, c.store, after), "wait for position %d", after+1)
		for _, seen := range c.log(eventstore.LogQuery{After: after}) {
			after = seen.Position
			_, found, err := c.store.LookupCommand(c.ctx, command(string(seen.Data), ""))
			if !found || err != nil {
				c.fatalf("the event at %d is in the log and its command is not known: error %v", seen.Position, err)
			}
		}
	}
	writing.Wait()
	c.must(writeErr, "append")
}

// commandScope returns how far the store knows a command id.
func (c *check) commandScope() eventstore.CommandScope {
	can, err := eventstore.CapabilitiesOf(c.ctx, c.store)
	c.must(err, "ask for the capabilities")
	return can.CommandScope
}

func racingRepeats(c *check) {
	const racers = 16
	stream := func(i int) eventstore.StreamID { return eventstore.NewStreamID("racer", fmt.Sprint(i)) }
	if c.commandScope() == eventstore.OneStream {
		stream = func(int) eventstore.StreamID { return "racer-1" }
	}
	for round := range c.rounds(200) {
		before := c.head()
		receipts, errs := make([]eventstore.Receipt, racers), make([]error, racers)
		together(racers, func(i int) {
			request := expecting(eventstore.Any, stream(i), event("a"))
			receipts[i], errs[i] = c.store.Append(c.ctx, named(request, fmt.Sprint("round ", round), ""))
		})
		c.must(errors.Join(errs...), "append")
		firsts := 0
		for _, receipt := range receipts {
			if !receipt.Repeated {
				firsts++
			}
			if !equalReceipts(receipt, receipts[0]) {
				c.fatalf("receipts differ: %+v and %+v", receipt, receipts[0])
			}
		}
		equal(c, "receipts not marked Repeated", firsts, 1)
		equal(c, "events appended", c.head()-before, 1)
	}
}

// twoAppendsOneCommand moves money between two accounts, by two appends of one
// command. The ids count per boundary, so the retry finds the append that was made
// and makes the one that was not.
func twoAppendsOneCommand(c *check) {
	transfer := func(killed bool) {
		ctx := eventstore.WithCommand(c.ctx, "alice", "transfer-1", eventstore.HashCommand("transfer", []byte("10")))
		for _, step := range []struct {
			stream eventstore.StreamID
			event  string
		}{{"account-a", "withdrawn"}, {"account-b", "deposited"}, {"account-a", "confirmed"}} {
			request := to(step.stream, event(step.event))
			request.Command = eventstore.NextCommand(ctx, string(step.stream))
			c.append(request)
			if killed {
				return
			}
		}
	}
	transfer(true)
	transfer(true)
	transfer(false)
	transfer(false)
	equal(c, "types in the log", types(c.log(eventstore.LogQuery{})), "withdrawn deposited confirmed")
}
