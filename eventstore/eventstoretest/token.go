package eventstoretest

import (
	"github.com/leftfold/leftfold/eventstore"
)

var tokenClauses = []clause{
	{"head, receipts and reads carry one identity, which is set", oneIdentity},
	{"two stores have different identities, and refuse each other's tokens", foreignTokens},
	{"a token survives its text", tokenText},
	{"an append for another life of the log is refused", anotherLife},
	{"an append for one life of the log is looked up first", anotherLifeRepeated},
}

func (c *check) identity() eventstore.Identity {
	token, err := c.store.Head(c.ctx)
	c.must(err, "head")
	return token.Identity
}

func oneIdentity(c *check) {
	identity := c.identity()
	if identity.Store == (eventstore.StoreID{}) || identity.Incarnation < 1 {
		c.fatalf("identity %+v is not set", identity)
	}
	equal(c, "receipt", c.append(to("order-1", event("a"))).Token.Identity, identity)
	equal(c, "read", c.read(eventstore.LogQuery{}).Identity, identity)
	equal(c, "head after an append", c.identity(), identity)
}

func foreignTokens(c *check) {
	token := c.append(to("order-1", event("a"))).Token
	head, err := c.another().Head(c.ctx)
	c.must(err, "head of another store")
	c.must(c.identity().Check(token), "check the store's own token")
	c.is(head.Check(token), eventstore.ErrForeignToken, "check another store's token")
}

func tokenText(c *check) {
	token := c.append(to("order-1", event("a"), event("b"))).Token
	parsed, err := eventstore.ParseToken(token.String())
	c.must(err, "parse %s", token)
	equal(c, "token", parsed, token)
}

func anotherLife(c *check) {
	c.seed("order-1", "a")
	now := c.identity()
	lives := func(life eventstore.Identity) eventstore.AppendRequest {
		r := expecting(eventstore.Exactly(1), "order-1", event("b"))
		r.Life = life
		return r
	}
	older, newer, foreign := now, now, now
	older.Incarnation--
	newer.Incarnation++
	foreign.Store = eventstore.NewStoreID()
	c.refused(lives(older), eventstore.ErrDiverged, "for the life before")
	c.refused(lives(newer), eventstore.ErrDiverged, "for a life to come")
	c.refused(lives(foreign), eventstore.ErrForeignToken, "for another store")
	tagged := lives(older)
	tagged.Writes[0].Events = append(tagged.Writes[0].Events, event("c", "k:1"))
	c.refused(tagged, eventstore.ErrDiverged, "of several events, for the life before")
	c.append(lives(now))
	equal(c, "types", types(c.stream("order-1", eventstore.StreamRange{})), "a b")
}

// anotherLifeRepeated: the first answer was lost, the store has failed over since, and the log
// still has the append.
func anotherLifeRepeated(c *check) {
	request := named(to("order-1", event("a")), "place", "")
	request.Life = c.identity()
	first := c.append(request)
	request.Life.Incarnation++
	c.repeats(c.append(request), first)
	request.Life.Store = eventstore.NewStoreID()
	c.repeats(c.append(request), first)
	request.Life.Store = c.identity().Store
	request.Command = command("another", "")
	c.refused(request, eventstore.ErrDiverged, "another command")
}
