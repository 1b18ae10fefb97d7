package eventstoretest

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// A projection reads the log window by window and keeps the end of each as its
// checkpoint. These clauses are what makes a checkpoint safe.
var windowClauses = []clause{
	{"the end of a read is the last position it covers, even if nothing matched", endUnfiltered},
	{"the anchors are the events that stand at After and Through, whether they match or not", anchors},
	{"After beyond the head is ErrAheadOfLog, at the head it is an empty window", aheadOfLog},
	{"Through beyond the head ends at the head", throughBeyondHead},
	{"consecutive windows cover the log exactly once", windowsCover},
	{"a read that its limit cuts ends at its last event, so that no event is passed by", limitedWindows},
	{"a reader that follows the head misses nothing and never sees an event twice", followHead},
}

func endUnfiltered(c *check) {
	c.seed("order-1", "a", "b", "c", "d")
	for _, query := range []eventstore.Query{eventstore.Types("rare"), eventstore.Tagged("rare:1"), eventstore.Types("a")} {
		read := c.read(eventstore.LogQuery{Query: query})
		equal(c, "Through of "+query.String(), read.Through.Position, 4)
		equal(c, "Head of "+query.String(), read.Head, 4)
		equal(c, "token of "+query.String(), read.Token().Position, 4)

		window := c.read(eventstore.LogQuery{Query: query, After: 1, Through: 3})
		equal(c, "Through of a window of "+query.String(), window.Through.Position, 3)
		equal(c, "Head of a window of "+query.String(), window.Head, 4)
	}
}

func anchors(c *check) {
	c.seed("order-1", "a", "b", "c", "d", "e")
	whole := c.log(eventstore.LogQuery{})
	anchor := func(p eventstore.Position) eventstore.Anchor {
		if p == 0 {
			return eventstore.Anchor{}
		}
		return eventstore.Anchor{Position: p, EventID: whole[p-1].ID}
	}
	for _, query := range []eventstore.Query{{}, eventstore.Types("c"), eventstore.Tagged("no:1")} {
		for after := range eventstore.Position(6) {
			for through := max(after, 1); through <= 5; through++ {
				read := c.read(eventstore.LogQuery{Query: query, After: after, Through: through})
				equal(c, fmt.Sprintf("After of (%d, %d], %s", after, through, query), read.After, anchor(after))
				equal(c, fmt.Sprintf("Through of (%d, %d], %s", after, through, query), read.Through, anchor(through))
			}
		}
	}
}

func aheadOfLog(c *check) {
	for head := range eventstore.Position(3) {
		equal(c, "head", c.head(), head)
		read := c.read(eventstore.LogQuery{After: head})
		equal(c, "Through at the head", read.Through.Position, head)
		equal(c, "After at the head", read.After, read.Through)
		for _, beyond := range []eventstore.Position{head + 1, head + 1000} {
			_, err := c.store.ReadLog(c.ctx, eventstore.LogQuery{After: beyond})
			c.is(err, eventstore.ErrAheadOfLog, "read after %d of %d", beyond, head)
			_, err = c.store.ReadLog(c.ctx, eventstore.LogQuery{After: beyond, Through: beyond + 1, Query: eventstore.Tagged("a:1")})
			c.is(err, eventstore.ErrAheadOfLog, "read a window after %d of %d", beyond, head)
		}
		c.seed("order-1", "a")
	}
}

func throughBeyondHead(c *check) {
	c.seed("order-1", "a", "b")
	for _, after := range []eventstore.Position{0, 1, 2} {
		read := c.read(eventstore.LogQuery{After: after, Through: 99})
		equal(c, "Through", read.Through.Position, 2)
		equal(c, "Head", read.Head, 2)
	}
	empty := c.another()
	read, err := empty.ReadLog(c.ctx, eventstore.LogQuery{Through: 99})
	c.must(err, "read an empty log")
	equal(c, "Through of an empty log", read.Through, eventstore.Anchor{})
}

func windowsCover(c *check) {
	c.shop()
	whole := c.log(eventstore.LogQuery{})
	for _, q := range queries {
		for size := range eventstore.Position(9) {
			got := c.windows(q.query, func(at eventstore.Position) eventstore.LogQuery {
				return eventstore.LogQuery{Query: q.query, After: at, Through: at + size + 1}
			})
			c.same(fmt.Sprintf("windows of %d, %s", size+1, q.name), got, within(whole, eventstore.LogQuery{Query: q.query}))
		}
	}
}

func limitedWindows(c *check) {
	c.shop()
	whole := c.log(eventstore.LogQuery{})
	for _, q := range queries {
		for limit := 1; limit <= 4; limit++ {
			got := c.windows(q.query, func(at eventstore.Position) eventstore.LogQuery {
				return eventstore.LogQuery{Query: q.query, After: at, Limit: limit}
			})
			c.same(fmt.Sprintf("reads of at most %d, %s", limit, q.name), got, within(whole, eventstore.LogQuery{Query: q.query}))
		}
	}
}

// windows reads to the head as a projection does, each window from the end of the
// last one, and proves each time that the checkpoint's event is still there.
func (c *check) windows(query eventstore.Query, next func(at eventstore.Position) eventstore.LogQuery) []eventstore.Recorded {
	var events []eventstore.Recorded
	var checkpoint eventstore.Anchor
	for {
		read := c.read(next(checkpoint.Position))
		equal(c, "anchor at the checkpoint", read.After, checkpoint)
		window, err := collect(read.Events())
		c.must(err, "read a window")
		events = append(events, window...)
		if read.Through.Position == read.Head {
			return events
		}
		if read.Through.Position <= checkpoint.Position {
			c.fatalf("the window after %v ends at %v, so the reader of %s never arrives", checkpoint, read.Through, query)
		}
		checkpoint = read.Through
	}
}

func followHead(c *check) {
	var seen []eventstore.Recorded
	var checkpoint eventstore.Position
	for n := range 20 {
		c.append(to(eventstore.NewStreamID("order", fmt.Sprint(n%3)), event("a"), event("b")))
		read := c.read(eventstore.LogQuery{After: checkpoint})
		window, err := collect(read.Events())
		c.must(err, "read")
		seen = append(seen, window...)
		checkpoint = read.Through.Position
	}
	c.same("events followed", seen, c.log(eventstore.LogQuery{}))
}
