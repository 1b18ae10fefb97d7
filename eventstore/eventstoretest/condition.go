package eventstoretest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

var conditionClauses = []clause{
	{"a condition refuses an append if a matching event exists after its position", conditionMatches},
	{"a condition asks exactly what a read with the same query and position would yield", conditionLikeRead},
	{"a condition sees the log before its own append", conditionNotItself},
	{"a failed condition tells its query, its position and a matching one", conditionError},
	{"a condition and expected versions must both hold", conditionAndVersions},
	{"a condition on an append of no events holds or refuses too", conditionWithoutEvents},
	{"a condition ahead of the log is ErrAheadOfLog", conditionAhead},
	{"an event of a writer that was slower than the reader's head still refuses (the D2 interleaving)", slowWriter},
	{"a condition with an untagged item looks back 10,000 positions and no further", conditionTooWide},
}

func conditionMatches(c *check) {
	seat := eventstore.Tagged("seat:1")
	take := func(after eventstore.Position) eventstore.AppendRequest {
		return unless(to("seat-1", event("taken", "seat:1")), seat, after)
	}
	c.append(take(0))
	c.refused(take(0), eventstore.ErrConditionFailed, "the seat is taken")
	c.append(take(1))
	c.refused(take(1), eventstore.ErrConditionFailed, "it was taken again at 2")
	c.seed("other-1", "x")
	c.append(take(2))
}

// conditionLikeRead tries every query at every position against the read of the same:
// a store that flattens items, or asks for any tag instead of all, differs somewhere.
func conditionLikeRead(c *check) {
	c.shop()
	stream := eventstore.StreamID("probe-1")
	for _, q := range queries {
		for after := range eventstore.Position(9) {
			hits := c.log(eventstore.LogQuery{Query: q.query, After: after, Through: 8})
			request := unless(eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream}}}, q.query, after)
			request = named(request, fmt.Sprintf("%s after %d", q.name, after), "")
			if len(hits) > 0 {
				c.refused(request, eventstore.ErrConditionFailed, q.name+" after "+fmt.Sprint(after))
			} else {
				c.append(request)
			}
		}
	}
}

func conditionNotItself(c *check) {
	query := eventstore.Tagged("seat:1")
	c.append(unless(to("seat-1", event("taken", "seat:1"), event("paid", "seat:1")), query, 0))
	equal(c, "head", c.head(), 2)
}

func conditionError(c *check) {
	c.append(to("seat-1", event("taken", "seat:1"), event("freed", "seat:1")))
	query := eventstore.Tagged("seat:1").Or(eventstore.Types("sold out"))
	failed := refusedAs[*eventstore.ConditionFailedError](c, unless(to("seat-1", event("x")), query, 1), "seat taken")
	c.is(failed, eventstore.ErrConditionFailed, "typed condition error")
	equal(c, "matching position", failed.Position, 2)
	equal(c, "condition's position", failed.After, 1)
	equal(c, "condition's query", failed.Query.String(), query.String())
}

func conditionAndVersions(c *check) {
	c.append(to("seat-1", event("taken", "seat:1")))
	free, taken := eventstore.Tagged("seat:2"), eventstore.Tagged("seat:1")
	c.refused(unless(expecting(eventstore.NoStream, "seat-1", event("x")), free, 0), eventstore.ErrVersionConflict, "wrong version")
	c.refused(unless(expecting(eventstore.Exactly(1), "seat-1", event("x")), taken, 0), eventstore.ErrConditionFailed, "failed condition")
	c.append(unless(expecting(eventstore.Exactly(1), "seat-1", event("x")), free, 0))
}

func conditionWithoutEvents(c *check) {
	c.append(to("seat-1", event("taken", "seat:1")))
	check := func(seat eventstore.Tag) eventstore.AppendRequest {
		return named(unless(eventstore.AppendRequest{}, eventstore.Tagged(seat), 0), string(seat), "")
	}
	c.refused(check("seat:1"), eventstore.ErrConditionFailed, "an empty append on a taken seat")
	c.append(check("seat:2"))
}

func conditionAhead(c *check) {
	c.seed("order-1", "a")
	for _, query := range []eventstore.Query{{}, eventstore.Types("b"), eventstore.Tagged("b:1")} {
		c.refused(unless(to("order-1", event("b")), query, 2), eventstore.ErrAheadOfLog, "after 2 of 1, "+query.String())
		c.append(named(unless(eventstore.AppendRequest{}, query, 1), query.String(), ""))
	}
}

// slowWriter is the race that breaks "no match after P" where positions do not follow
// commit order: W takes position 1 and stays open, an unrelated append commits position
// 2, the reader sees no match and P = 2, W commits. The reader's check, "a match after
// 2", finds nothing, and both win.
//
// The port has no way to hold W open, so the three race, over and over: two want the
// last seat, one pushes the head on between their reads and their appends.
func slowWriter(c *check) {
	for round := range c.rounds(600) {
		tag := eventstore.NewTag("course", fmt.Sprint(round))
		won, errs := make([]bool, 3), make([]error, 3)
		together(3, func(i int) {
			if i == 1 {
				_, errs[i] = c.store.Append(c.ctx, to("unrelated-1", event("noise")))
				return
			}
			d, err := c.decide(eventstore.Tagged(tag))
			if err == nil {
				won[i], err = c.take(d, event("subscribed", tag))
			}
			errs[i] = err
		})
		c.must(errors.Join(errs...), "round %d", round)
		equal(c, fmt.Sprintf("students on the last seat in round %d", round), count(won), 1)
	}
}

// conditionTooWide needs a log longer than the look-back; that costs one append.
func conditionTooWide(c *check) {
	const limit = eventstore.MaxUntaggedLookback
	many := make([]eventstore.EventData, limit)
	for n := range many {
		many[n] = eventstore.EventData{Type: "a"}
	}
	c.append(to("order-1", many...))
	for _, query := range untagged {
		request := named(unless(eventstore.AppendRequest{}, query, 0), "at the limit "+query.String(), "")
		_, err := c.store.Append(c.ctx, request)
		if query.Matches(many[0]) {
			c.is(err, eventstore.ErrConditionFailed, "%s at the limit", query)
		} else {
			c.must(err, "%s at the limit", query)
		}
	}
	c.seed("order-2", "b")
	for _, query := range untagged {
		err := c.refused(unless(to("order-2", event("c")), query, 0), eventstore.ErrConditionTooWide, query.String())
		if !strings.Contains(err.Error(), "tag") {
			c.fatalf("the error does not say that a tag helps: %v", err)
		}
	}
	c.append(unless(to("order-2", event("c")), eventstore.Tagged("far:1"), 0))
}

// untagged are queries with at least one item that no tag index can answer.
var untagged = []eventstore.Query{{}, eventstore.Types("z"), eventstore.Tagged("far:1").Or(eventstore.Types("z"))}
