package eventstoretest

import (
	"github.com/leftfold/leftfold/eventstore"
)

var tokenClauses = []clause{
	{"head, receipts and reads carry one identity, which is set", oneIdentity},
	{"two stores have different identities, and refuse each other's tokens", foreignTokens},
	{"a token survives its text", tokenText},
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
