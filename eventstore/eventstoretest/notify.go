package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/leftfold/leftfold/eventstore"
)

var notifyClauses = []clause{
	{"a waiter is woken by an append, and a read that starts then finds its event", wokenByAppend},
	{"a waiter for a position the log has passed returns at once", alreadyBeyond},
	{"a waiter gives up with the error of its context", waiterGivesUp},
	{"a waiter is not woken by an append that was refused or had no events", notWoken},
	{"every one of many waiters is woken", manyWaiters},
	{"a reader can wait on a store that cannot notify", waitByPolling},
}

func (c *check) notifier() eventstore.Notifier {
	n, ok := c.store.(eventstore.Notifier)
	if !ok {
		c.skip("the store is no eventstore.Notifier")
	}
	return n
}

// wokenByAppend starts a waiter and appends without caring which comes first: woken
// too early or not at all, the waiter reads nothing or hangs.
func wokenByAppend(c *check) {
	n := c.notifier()
	for head := range eventstore.Position(c.rounds(200)) {
		var errs [2]error
		together(2, func(i int) {
			if i == 0 {
				errs[i] = c.awaitEvent(n, head)
			} else {
				_, errs[i] = c.store.Append(c.ctx, to("order-1", event("a")))
			}
		})
		c.must(errors.Join(errs[:]...), "wait beyond %d", head)
	}
}

func (c *check) awaitEvent(n eventstore.Notifier, beyond eventstore.Position) error {
	if err := n.WaitAppended(c.ctx, beyond); err != nil {
		return err
	}
	read, err := c.store.ReadLog(c.ctx, eventstore.LogQuery{After: beyond})
	if err != nil {
		return err
	}
	events, err := collect(read.Events())
	if err == nil && len(events) == 0 {
		err = errors.New("woken, but there is nothing to read")
	}
	return err
}

func alreadyBeyond(c *check) {
	n := c.notifier()
	c.seed("order-1", "a", "b", "c")
	for beyond := range eventstore.Position(3) {
		c.must(n.WaitAppended(c.ctx, beyond), "wait beyond %d of 3", beyond)
	}
}

func waiterGivesUp(c *check) {
	n := c.notifier()
	c.seed("order-1", "a")
	ctx, cancel := context.WithCancel(c.ctx)
	waiting := make(chan error, 1)
	go func() { waiting <- n.WaitAppended(ctx, 1) }()
	cancel()
	c.is(<-waiting, context.Canceled, "wait with a context that ends")
}

func notWoken(c *check) {
	n := c.notifier()
	c.seed("order-1", "a")
	ctx, cancel := context.WithCancel(c.ctx)
	waiting := make(chan error, 1)
	go func() { waiting <- n.WaitAppended(ctx, 1) }()
	for round := range c.rounds(200) { // the waiter may take a while to start waiting
		c.refused(expecting(eventstore.NoStream, "order-1", event("b")), eventstore.ErrVersionConflict, "a refused append")
		c.append(named(eventstore.AppendRequest{}, fmt.Sprint("nothing ", round), ""))
		runtime.Gosched()
	}
	cancel()
	c.is(<-waiting, context.Canceled, "wait with nothing to wake for")
}

func manyWaiters(c *check) {
	n := c.notifier()
	const waiters = 32
	for round := range eventstore.Position(c.rounds(80)) {
		errs := make([]error, waiters+1)
		together(waiters+1, func(i int) {
			if i < waiters {
				errs[i] = c.awaitEvent(n, 2*round+eventstore.Position(i%2))
				return
			}
			runtime.Gosched()
			_, errs[i] = c.store.Append(c.ctx, to("order-1", event("a"), event("b")))
		})
		c.must(errors.Join(errs...), "wait in round %d", round)
	}
}

// silent hides every optional power of a store.
type silent struct{ log eventstore.LogReader }

func (s silent) ReadLog(ctx context.Context, q eventstore.LogQuery) (*eventstore.LogRead, error) {
	return s.log.ReadLog(ctx, q)
}

func (s silent) Head(ctx context.Context) (eventstore.Token, error) { return s.log.Head(ctx) }

func waitByPolling(c *check) {
	var errs [2]error
	together(2, func(i int) {
		if i == 0 {
			errs[i] = eventstore.WaitAppended(c.ctx, silent{c.store}, 0)
		} else {
			_, errs[i] = c.store.Append(c.ctx, to("order-1", event("a")))
		}
	})
	c.must(errors.Join(errs[:]...), "wait by polling")
	err := eventstore.WaitAppended(c.cancelled(), silent{c.store}, c.head())
	c.is(err, context.Canceled, "wait by polling with a cancelled context")
}
