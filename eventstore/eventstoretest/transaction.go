package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/leftfold/leftfold/eventstore"
)

// Transactions is an empty store that can append inside a transaction of its caller, and the
// database of both, where the caller keeps rows of its own.
type Transactions struct {
	// Store is the store outside of any transaction.
	Store eventstore.Store
	// Begin begins a transaction of the caller's.
	Begin func(ctx context.Context) (Transaction, error)
	// Rows counts the rows that are committed.
	Rows func(ctx context.Context) (int, error)
	// Ended is the error of a store whose transaction has ended.
	Ended error
}

// Transaction is one of the caller's.
type Transaction struct {
	// Log is the store inside the transaction.
	Log eventstore.Store
	// PutRow adds a row of the caller's.
	PutRow func(ctx context.Context) error
	// Commit and Rollback end the transaction; after the other one they do nothing.
	Commit, Rollback func(ctx context.Context) error
}

// transactionClause is one rule of appends in the caller's transaction.
type transactionClause struct {
	rule  string
	check func(c *check, in Transactions)
}

var transactionClauses = []transactionClause{
	{"a row and its events are there together after the commit", committedTogether},
	{"a row and its events are gone together after the rollback, and leave no gap", rolledBackTogether},
	{"a transaction sees its own events, and nobody else does before the commit", seenInsideOnly},
	{"a transaction sees what others have appended before", seenFromOutside},
	{"who waits for the log is woken by the commit", wokenByCommit},
	{"a refusal leaves the transaction usable, and nothing of the append in it", refusedInside},
	{"the appends of a transaction follow each other", appendsFollow},
	{"a command id is remembered with the transaction and forgotten with it", commandInside},
	{"a stream that a transaction deletes is deleted with it", deletedInside},
	{"the store inside a transaction ends with it", endsWithTransaction},
}

// RunTransactions checks the stores that open returns against every clause about the caller's
// transactions. Each call must return an empty store, and close everything by t.Cleanup.
func RunTransactions(t *testing.T, open func(t testing.TB) Transactions) {
	for _, cl := range transactionClauses {
		t.Run(cl.rule, func(t *testing.T) { Options{}.report(t, examineTransactions(t, cl, open(t))) })
	}
}

// CheckTransactions checks a store against one clause, for a mutant that must fail it.
func CheckTransactions(t testing.TB, in Transactions, rule string) error {
	for _, cl := range transactionClauses {
		if cl.rule != rule {
			continue
		}
		if v := examineTransactions(t, cl, in); v.failure != "" {
			return errors.New(v.failure)
		}
		return nil
	}
	return fmt.Errorf("there is no clause %q", rule)
}

func examineTransactions(t testing.TB, cl transactionClause, in Transactions) verdict {
	on := clause{cl.rule, func(c *check) { cl.check(c, in) }}
	return examine(t, on, func(testing.TB) eventstore.Store { return in.Store }, Options{})
}

// begin begins a transaction with a row in it.
func (c *check) begin(in Transactions) Transaction {
	tx, err := in.Begin(c.ctx)
	c.must(err, "begin")
	c.must(tx.PutRow(c.ctx), "put a row")
	return tx
}

// inside appends in the transaction what must be accepted.
func (c *check) inside(tx Transaction, request eventstore.AppendRequest) eventstore.Receipt {
	receipt, err := tx.Log.Append(c.ctx, request)
	c.must(err, "append in the transaction")
	return receipt
}

// committed fails the clause unless so many rows and events are.
func (c *check) committed(in Transactions, rows int, head eventstore.Position) {
	found, err := in.Rows(c.ctx)
	c.must(err, "count the rows")
	equal(c, "rows", found, rows)
	equal(c, "head", c.head(), head)
	equal(c, "events in the log", eventstore.Position(len(c.log(eventstore.LogQuery{}))), head)
}

func committedTogether(c *check, in Transactions) {
	tx := c.begin(in)
	receipt := c.inside(tx, to("order-1", event("a"), event("b", "seat:1")))
	c.must(tx.Commit(c.ctx), "commit")
	c.committed(in, 1, 2)
	token, err := c.store.Head(c.ctx)
	c.must(err, "head")
	equal(c, "the receipt's token", receipt.Token, token)
	equal(c, "the receipt's version", receipt.Versions["order-1"], 2)
	equal(c, "events by their tag", types(c.log(eventstore.LogQuery{Query: eventstore.Tagged("seat:1")})), "b")
}

func rolledBackTogether(c *check, in Transactions) {
	tx := c.begin(in)
	c.inside(tx, to("order-1", event("a"), event("b", "seat:1")))
	c.must(tx.Rollback(c.ctx), "roll back")
	c.committed(in, 0, 0)
	receipt := c.append(unless(expecting(eventstore.NoStream, "order-1", event("c", "seat:1")), eventstore.Tagged("seat:1"), 0))
	equal(c, "the next position", receipt.Token.Position, 1)
}

func seenInsideOnly(c *check, in Transactions) {
	tx := c.begin(in)
	c.inside(tx, named(to("order-1", event("a", "seat:1")), "place", ""))
	for _, reads := range []struct {
		log  eventstore.Store
		want int
	}{{tx.Log, 1}, {c.store, 0}} {
		events, err := collect(reads.log.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}))
		c.must(err, "read the stream")
		equal(c, "events in the stream", len(events), reads.want)
		read, err := reads.log.ReadLog(c.ctx, eventstore.LogQuery{Query: eventstore.Tagged("seat:1")})
		c.must(err, "read the log")
		events, err = collect(read.Events())
		c.must(err, "read the log")
		equal(c, "events in the log", len(events), reads.want)
		head, err := reads.log.Head(c.ctx)
		c.must(err, "head")
		equal(c, "head", head.Position, eventstore.Position(reads.want))
		_, known, err := reads.log.LookupCommand(c.ctx, command("place", ""))
		c.must(err, "look up the command")
		equal(c, "the command is known", known, reads.want == 1)
	}
	c.must(tx.Commit(c.ctx), "commit")
	c.committed(in, 1, 1)
}

func seenFromOutside(c *check, in Transactions) {
	c.seed("order-1", "a", "b")
	tx := c.begin(in)
	events, err := collect(tx.Log.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}))
	c.must(err, "read the stream")
	equal(c, "events in the stream", types(events), "a b")
	c.inside(tx, expecting(eventstore.Exactly(2), "order-1", event("c")))
	c.must(tx.Commit(c.ctx), "commit")
	c.committed(in, 1, 3)
}

func wokenByCommit(c *check, in Transactions) {
	woken := make(chan error, 1)
	go func() {
		err := eventstore.WaitAppended(c.ctx, c.store, 0)
		if err == nil {
			var head eventstore.Token
			if head, err = c.store.Head(c.ctx); err == nil && head.Position != 1 {
				err = fmt.Errorf("woken at head %d", head.Position)
			}
		}
		woken <- err
	}()
	tx := c.begin(in)
	c.inside(tx, to("order-1", event("a")))
	c.must(tx.Commit(c.ctx), "commit")
	c.must(<-woken, "wait for the event")
}

func refusedInside(c *check, in Transactions) {
	c.append(named(to("order-1", event("a", "seat:1")), "place", "one"))
	_, err := c.deleter().DeleteStream(c.ctx, "order-1", eventstore.Any)
	c.must(err, "delete")
	tx := c.begin(in)
	both := eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-2", Events: []eventstore.EventData{event("x")}},
		{Stream: "order-3", Expected: eventstore.Exactly(7), Events: []eventstore.EventData{event("x")}},
	}}
	for _, refused := range []struct {
		request eventstore.AppendRequest
		with    error
	}{
		{both, eventstore.ErrVersionConflict},
		{unless(to("order-2", event("x")), eventstore.Tagged("seat:1"), 0), eventstore.ErrConditionFailed},
		{named(to("order-2", event("x")), "place", "two"), eventstore.ErrIdempotencyMismatch},
		{to("order-1", event("x")), eventstore.ErrStreamDeleted},
		{to("order", event("x")), eventstore.ErrInvalid},
	} {
		_, err := tx.Log.Append(c.ctx, refused.request)
		c.is(err, refused.with, "append in the transaction")
	}
	c.inside(tx, expecting(eventstore.NoStream, "order-2", event("b")))
	c.must(tx.Commit(c.ctx), "commit")
	c.committed(in, 1, 3)
	equal(c, "types in the log", types(c.log(eventstore.LogQuery{})), "a "+eventstore.TombstoneType+" b")
}

func appendsFollow(c *check, in Transactions) {
	tx := c.begin(in)
	for n := range 3 {
		request := expecting(eventstore.Exactly(eventstore.Version(n)), "order-1", event("a", "seat:1"))
		receipt := c.inside(tx, unless(request, eventstore.Tagged("seat:1"), eventstore.Position(n)))
		equal(c, "position", receipt.Token.Position, eventstore.Position(n+1))
		equal(c, "version", receipt.Versions["order-1"], eventstore.Version(n+1))
	}
	_, err := tx.Log.Append(c.ctx, unless(to("order-1", event("x")), eventstore.Tagged("seat:1"), 2))
	c.is(err, eventstore.ErrConditionFailed, "append on a condition that the transaction's own event breaks")
	c.must(tx.Commit(c.ctx), "commit")
	c.committed(in, 1, 3)
}

func commandInside(c *check, in Transactions) {
	request := named(to("order-1", event("a")), "place", "")
	tx := c.begin(in)
	equal(c, "Repeated", c.inside(tx, request).Repeated, false)
	equal(c, "Repeated in the same transaction", c.inside(tx, request).Repeated, true)
	c.must(tx.Rollback(c.ctx), "roll back")
	_, known, err := c.store.LookupCommand(c.ctx, request.Command)
	c.must(err, "look up the command")
	equal(c, "known after the rollback", known, false)

	tx = c.begin(in)
	first := c.inside(tx, request)
	equal(c, "Repeated after a rollback", first.Repeated, false)
	c.must(tx.Commit(c.ctx), "commit")
	c.repeats(c.append(request), first)
	tx = c.begin(in)
	c.repeats(c.inside(tx, request), first)
	c.must(tx.Commit(c.ctx), "commit")
	c.committed(in, 2, 1)
}

func deletedInside(c *check, in Transactions) {
	c.seed("order-1", "a")
	for _, end := range []func(Transaction) error{
		func(tx Transaction) error { return tx.Rollback(c.ctx) },
		func(tx Transaction) error { return tx.Commit(c.ctx) },
	} {
		tx := c.begin(in)
		_, err := tx.Log.(eventstore.StreamDeleter).DeleteStream(c.ctx, "order-1", eventstore.Exactly(1))
		c.must(err, "delete in the transaction")
		_, err = collect(tx.Log.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}))
		c.is(err, eventstore.ErrStreamDeleted, "read in the transaction")
		equal(c, "events outside", len(c.stream("order-1", eventstore.StreamRange{})), 1)
		c.must(end(tx), "end the transaction")
	}
	_, err := collect(c.store.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}))
	c.is(err, eventstore.ErrStreamDeleted, "read after the commit")
	c.committed(in, 1, 2)
}

func endsWithTransaction(c *check, in Transactions) {
	for _, end := range []func(Transaction) error{
		func(tx Transaction) error { return tx.Commit(c.ctx) },
		func(tx Transaction) error { return tx.Rollback(c.ctx) },
	} {
		tx := c.begin(in)
		c.inside(tx, named(eventstore.AppendRequest{}, "nothing", ""))
		c.must(end(tx), "end the transaction")
		_, err := tx.Log.Append(c.ctx, to("order-1", event("a")))
		c.is(err, in.Ended, "append after the end of the transaction")
		_, err = tx.Log.Head(c.ctx)
		c.is(err, in.Ended, "head after the end of the transaction")
		_, err = collect(tx.Log.ReadStream(c.ctx, "order-1", eventstore.StreamRange{}))
		c.is(err, in.Ended, "read after the end of the transaction")
	}
	c.committed(in, 1, 0)
}
