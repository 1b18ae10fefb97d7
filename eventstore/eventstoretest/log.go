package eventstoretest

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

var logClauses = []clause{
	{"an empty log yields nothing, ends at position 0 and has zero anchors", emptyLog},
	{"a query selects by type, by all tags of an item and by any item", querySelects},
	{"an event that several items match is yielded once", matchedTwice},
	{"bounds and limit select as the port says, whatever the query", logRanges},
	{"the head is fixed at the call, not when the loop starts or ends", headFixed},
	{"a loop over the log may append, read and look up commands", appendInLogLoop},
	{"a loop over the log may end early, any number of times", logEndsEarly},
	{"a read of the log whose context is over gives its error", logCancelled},
	{"a long log comes back whole and in order", longLog},
}

func emptyLog(c *check) {
	read := c.read(eventstore.LogQuery{})
	events, err := collect(read.Events())
	c.must(err, "read")
	equal(c, "events", len(events), 0)
	equal(c, "After", read.After, eventstore.Anchor{})
	equal(c, "Through", read.Through, eventstore.Anchor{})
	equal(c, "Head", read.Head, 0)
	equal(c, "head", c.head(), 0)
}

// shop appends the log that the clauses about queries read: types and tags in many
// combinations, over several streams.
func (c *check) shop() {
	c.append(to("order-1", event("placed", "customer:a", "item:x"), event("paid", "customer:a")))
	c.append(to("order-2", event("placed", "customer:b", "item:x")))
	c.append(to("item-x", event("stocked", "item:x")))
	c.append(to("order-3", event("placed", "customer:a", "item:y"), event("cancelled", "customer:a", "item:y")))
	c.append(to("note-1", event("noted")))
	c.append(to("order-2", event("paid", "customer:b")))
}

// queries are the shapes a query can have; want are the positions of the shop's events
// that each selects.
var queries = []struct {
	name  string
	query eventstore.Query
	want  string
}{
	{"every event", eventstore.Query{}, "[1 2 3 4 5 6 7 8]"},
	{"an empty item", eventstore.Query{Items: []eventstore.QueryItem{{}}}, "[1 2 3 4 5 6 7 8]"},
	{"a type", eventstore.Types("placed"), "[1 3 5]"},
	{"either type", eventstore.Types("paid", "noted"), "[2 7 8]"},
	{"an unknown type", eventstore.Types("lost"), "[]"},
	{"a tag", eventstore.Tagged("item:x"), "[1 3 4]"},
	{"both tags", eventstore.Tagged("customer:a", "item:x"), "[1]"},
	{"both tags, the other way round", eventstore.Tagged("item:x", "customer:a"), "[1]"},
	{"tags that no event has together", eventstore.Tagged("customer:b", "item:y"), "[]"},
	{"an unknown tag", eventstore.Tagged("item:z"), "[]"},
	{"a tag that is a prefix of another", eventstore.Tagged("item:" + "xy"), "[]"},
	{"a type with a tag", item([]string{"placed"}, "customer:a"), "[1 5]"},
	{"either type with both tags", item([]string{"placed", "cancelled"}, "customer:a", "item:y"), "[5 6]"},
	{"either tag", eventstore.Tagged("item:y").Or(eventstore.Tagged("customer:b")), "[3 5 6 8]"},
	{"a tag or a type", eventstore.Tagged("customer:b").Or(eventstore.Types("noted")), "[3 7 8]"},
	{"types and tags must not cross items", item([]string{"paid"}, "customer:a").Or(item([]string{"placed"}, "customer:b")), "[2 3]"},
	{"tags must not cross items", eventstore.Tagged("customer:a", "item:x").Or(eventstore.Tagged("customer:b", "item:x")), "[1 3]"},
	{"three items", eventstore.Types("noted").Or(eventstore.Tagged("item:x")).Or(item([]string{"paid"}, "customer:b")), "[1 3 4 7 8]"},
}

func item(types []string, tags ...eventstore.Tag) eventstore.Query {
	return eventstore.Query{Items: []eventstore.QueryItem{{Types: types, Tags: tags}}}
}

func positions(events []eventstore.Recorded) string {
	at := make([]eventstore.Position, len(events))
	for n, e := range events {
		at[n] = e.Position
	}
	return fmt.Sprint(at)
}

func querySelects(c *check) {
	c.shop()
	for _, q := range queries {
		equal(c, "positions selected by "+q.name, positions(c.log(eventstore.LogQuery{Query: q.query})), q.want)
	}
}

func matchedTwice(c *check) {
	c.append(to("order-1", event("placed", "a:1", "b:2"), event("paid", "b:2")))
	query := eventstore.Tagged("a:1").Or(eventstore.Tagged("b:2")).Or(eventstore.Types("placed"))
	equal(c, "types", types(c.log(eventstore.LogQuery{Query: query})), "placed paid")
}

// logRanges compares ranges of every query with a slice of the whole log.
func logRanges(c *check) {
	c.shop()
	whole := c.log(eventstore.LogQuery{})
	for _, q := range queries {
		for _, after := range []int{0, 1, 4, 7, 8} {
			for _, through := range []int{0, after + 1, after + 3, 99} {
				for _, limit := range []int{0, 1, 3} {
					query := eventstore.LogQuery{
						Query: q.query, After: eventstore.Position(after), Through: eventstore.Position(through), Limit: limit,
					}
					c.same(fmt.Sprintf("%s, %+v", q.name, query), c.log(query), within(whole, query))
				}
			}
		}
	}
}

// within is the query's meaning, as plainly as it can be said.
func within(log []eventstore.Recorded, query eventstore.LogQuery) []eventstore.Recorded {
	var events []eventstore.Recorded
	for _, e := range log {
		bounded := e.Position > query.After && (query.Through == 0 || e.Position <= query.Through)
		full := query.Limit > 0 && len(events) == query.Limit
		if bounded && !full && query.Query.Matches(e.EventData) {
			events = append(events, e)
		}
	}
	return events
}

func headFixed(c *check) {
	c.seed("order-1", "a", "b")
	read := c.read(eventstore.LogQuery{})
	c.seed("order-1", "before the loop")
	seen := 0
	for e, err := range read.Events() {
		c.must(err, "read")
		if e.Position > read.Head {
			c.fatalf("yielded position %d, the head at the call was %d", e.Position, read.Head)
		}
		seen++
		c.seed("order-2", "within the loop")
	}
	equal(c, "Head", read.Head, 2)
	equal(c, "Through", read.Through.Position, 2)
	equal(c, "events seen", seen, 2)
	equal(c, "head now", c.head(), 5)
}

// appendInLogLoop hangs on a store that holds a lock, or its only connection, while
// the loop body runs.
func appendInLogLoop(c *check) {
	c.seed("order-1", "a", "b")
	for e, err := range c.read(eventstore.LogQuery{}).Events() {
		c.must(err, "read")
		id := fmt.Sprint("echo ", e.Position)
		receipt := c.append(named(to("echo-1", event("echo", "e:1")), id, ""))
		first, found, err := c.store.LookupCommand(c.ctx, command(id, ""))
		if err != nil || !found || first.Token != receipt.Token {
			c.fatalf("lookup within the loop: %+v, %v, %v", first, found, err)
		}
		equal(c, "echoes", len(c.log(eventstore.LogQuery{Query: eventstore.Tagged("e:1")})), int(e.Position))
	}
}

func logEndsEarly(c *check) {
	c.append(to("order-1", event("a", "k:1"), event("b", "k:1"), event("c", "k:1")))
	for n := range 200 { // more than any pool has connections
		query := eventstore.LogQuery{}
		if n%2 == 0 {
			query.Query = eventstore.Tagged("k:1")
		}
		for _, err := range c.read(query).Events() {
			c.must(err, "read")
			break
		}
		_ = c.read(query) // and a read that nobody loops over
	}
	c.seed("order-1", "d")
	equal(c, "types", types(c.log(eventstore.LogQuery{})), "a b c d")
}

func logCancelled(c *check) {
	c.seed("order-1", "a")
	_, err := c.store.ReadLog(c.cancelled(), eventstore.LogQuery{})
	c.is(err, c.cancelled().Err(), "read the log with a cancelled context")
	_, err = c.store.Head(c.cancelled())
	c.is(err, c.cancelled().Err(), "ask for the head with a cancelled context")
}

// longLog is longer than any page an adapter may read by.
func longLog(c *check) {
	const appends, size = 30, 100
	for n := range appends {
		events := make([]eventstore.EventData, size)
		for i := range events {
			events[i] = eventstore.EventData{Type: "a", Tags: []eventstore.Tag{eventstore.NewTag("third", fmt.Sprint(i%3))}}
		}
		c.append(to(eventstore.NewStreamID("order", fmt.Sprint(n%7)), events...))
	}
	whole := c.log(eventstore.LogQuery{})
	equal(c, "length", len(whole), appends*size)
	for n, e := range whole {
		equal(c, "position", e.Position, eventstore.Position(n+1))
	}
	query := eventstore.LogQuery{Query: eventstore.Tagged("third:1")}
	c.same("a third of it", c.log(query), within(whole, query))
}
