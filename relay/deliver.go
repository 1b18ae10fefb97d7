package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore/subscription"
)

// delivery offers messages to the publisher until each was taken, is dead, or is behind a dead one
// of its key.
//
// The order of a key is kept by one rule: a message is offered only when all before it were taken,
// or go in front of it in the same request. So a key is in one request at a time. When one of its
// messages fails, those behind it in the request count as not taken, whatever is said of them.
type delivery struct {
	Relay

	limits  Limits
	waiting []*item          // in the order of the log; those under way too
	lanes   map[string]*lane // by key
	dead    []*item          // one of a key at most

	answers  chan answer
	underWay int
	failures int       // requests in a row of which nothing is known, or that were throttled
	until    time.Time // no request before
	err      error     // ends the delivery
}

// lane is how a key does.
type lane struct {
	busy   bool
	closed bool      // it has a dead letter
	tries  int       // refusals in a row
	until  time.Time // not before
	err    error     // of the last refusal
}

type answer struct {
	items   []*item
	results []error
	err     error
}

// The tries in a row, of a message and of whole requests, after which a delivery gives up and
// leaves it to the subscription to wait, which tells people. Between them it pauses, longer each time.
const (
	maxTries   = 6
	firstDelay = 50 * time.Millisecond
	maxDelay   = 5 * time.Second
)

// delay returns the pause after so many failures in a row: between half and all of a time that doubles,
// so that those who failed together do not come back together.
func delay(failures int) time.Duration {
	most := min(firstDelay<<min(failures-1, 10), maxDelay)
	return most/2 + rand.N(most/2+1)
}

// deliver returns the dead letters and, with an error, those that are left, in the order of the log; all
// others were taken or are behind a dead letter. When it returns no request is under way.
func (r Relay) deliver(ctx context.Context, items []*item) (dead, left []*item, err error) {
	d := &delivery{Relay: r, limits: r.Publisher.Limits(), waiting: items, lanes: map[string]*lane{}}
	requests := max(cmp.Or(r.Requests, defaultRequests), 1)
	d.answers = make(chan answer, requests)
	for _, i := range items {
		if d.lanes[i.Key] == nil {
			d.lanes[i.Key] = &lane{}
		}
	}
	for d.begin(ctx, requests); d.underWay > 0 || d.pause(ctx); d.begin(ctx, requests) {
		if d.underWay > 0 {
			d.underWay--
			d.settle(<-d.answers)
		}
	}
	return d.dead, d.waiting, d.outcome(ctx)
}

// begin sends what may be sent now. A bus that asks for less, or fails, gets one request at a time.
func (d *delivery) begin(ctx context.Context, requests int) {
	if d.failures > 0 {
		requests = 1
	}
	for ctx.Err() == nil && d.err == nil && d.underWay < requests {
		batch := d.next(time.Now())
		if len(batch) == 0 {
			return
		}
		d.underWay++
		go func() { d.answers <- d.publish(ctx, batch) }()
	}
}

// next returns the next request: the first messages that may go, in the order of the log, as many as fit.
func (d *delivery) next(now time.Time) (batch []*item) {
	if now.Before(d.until) {
		return nil
	}
	bytes, in, left := 0, map[string]bool{}, map[string]bool{} // keys that have some in it; of which no more goes
	for _, i := range slices.Clone(d.waiting) {
		l := d.lanes[i.Key]
		if l.busy || l.closed || left[i.Key] || l.tries >= maxTries || now.Before(l.until) {
			left[i.Key] = true
			continue
		}
		switch {
		case i.dead != nil && !in[i.Key]:
			d.bury(i)
			continue
		case i.dead != nil, in[i.Key] && d.limits.OnePerKey:
			left[i.Key] = true
			continue
		case d.limits.Messages > 0 && len(batch) == d.limits.Messages,
			d.limits.Bytes > 0 && bytes+i.size > d.limits.Bytes:
			d.hold(batch)
			return batch
		}
		batch, bytes, in[i.Key] = append(batch, i), bytes+i.size, true
	}
	d.hold(batch)
	return batch
}

// hold keeps the keys of a request for it.
func (d *delivery) hold(batch []*item) {
	for _, i := range batch {
		d.lanes[i.Key].busy = true
	}
}

// bury makes a dead letter of a message before which all of its key are taken.
func (d *delivery) bury(i *item) {
	d.dead = append(d.dead, i)
	d.lanes[i.Key].closed = true
	d.waiting = slices.DeleteFunc(d.waiting, func(w *item) bool { return w.Key == i.Key })
}

// grace is how long a request may go on, and a commit may take, when the relay is to stop: what was broken
// off would have to be repeated.
const grace = 2 * time.Second

// publish makes one request.
func (d *delivery) publish(ctx context.Context, items []*item) (a answer) {
	ending := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(d.Timeout, defaultTimeout))
	defer cancel()
	defer context.AfterFunc(ending, func() {
		select {
		case <-ctx.Done():
		case <-time.After(grace):
			cancel()
		}
	})()
	messages := make([]Message, len(items))
	for n, i := range items {
		messages[n] = i.Message
	}
	a = answer{items: items}
	defer recovered("Publisher", &a.err)
	a.results, a.err = d.Publisher.Publish(ctx, messages)
	if a.err == nil && len(a.results) != len(items) {
		a.err = fmt.Errorf("%w: Publisher returned %d results for %d messages", subscription.ErrPermanent, len(a.results), len(items))
	}
	return a
}

// settle takes note of an answer.
func (d *delivery) settle(a answer) {
	for _, i := range a.items {
		d.lanes[i.Key].busy = false
	}
	if a.err != nil {
		d.slowDown(a.err)
		return
	}
	failed, throttled := map[string]bool{}, error(nil)
	for n, i := range a.items {
		if failed[i.Key] {
			continue
		}
		if err := a.results[n]; err == nil {
			i.taken = true
			l := d.lanes[i.Key]
			l.tries, l.until, l.err = 0, time.Time{}, nil
		} else {
			failed[i.Key] = true
			if errors.Is(err, ErrThrottled) {
				throttled = err
			}
			d.refused(i, err)
		}
	}
	d.waiting = slices.DeleteFunc(d.waiting, func(i *item) bool { return i.taken })
	if throttled != nil {
		d.slowDown(throttled)
	} else {
		d.failures = 0
	}
}

// refused takes note of a message that was not taken.
func (d *delivery) refused(i *item, err error) {
	l := d.lanes[i.Key]
	switch {
	case errors.Is(err, ErrRefused):
	case errors.Is(err, ErrThrottled):
		return // it is not the message's fault
	default:
		l.tries++
		l.err = fmt.Errorf("%w: event at position %d (%s), key %q: %w", errStuck, i.Position, i.Type, i.Key, err)
		l.until = time.Now().Add(delay(l.tries))
		if i.refusals++; d.Tries == 0 || i.refusals < d.Tries {
			return
		}
		err = fmt.Errorf("refused %d times: %w", i.refusals, err)
	}
	i.dead = err
	d.bury(i)
}

// slowDown pauses all of the delivery, and gives up if that was tried often enough.
func (d *delivery) slowDown(err error) {
	d.failures++
	d.until = time.Now().Add(delay(d.failures))
	if d.failures >= maxTries || errors.Is(err, subscription.ErrPermanent) {
		d.err = fmt.Errorf("publish: %w", err)
	}
}

// pause waits until something may be sent again; false: nothing will be.
func (d *delivery) pause(ctx context.Context) bool {
	if d.err != nil || ctx.Err() != nil {
		return false
	}
	at, found := time.Time{}, false
	for _, i := range d.waiting {
		if l := d.lanes[i.Key]; l.tries < maxTries && (!found || l.until.Before(at)) {
			at, found = l.until, true
		}
	}
	if at.Before(d.until) {
		at = d.until
	}
	if !found {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(at)):
		return true
	}
}

// outcome returns why not every message has found its end; nil: each has.
func (d *delivery) outcome(ctx context.Context) error {
	switch {
	case len(d.waiting) == 0:
		return nil
	case d.err != nil:
		return d.err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return d.lanes[d.waiting[0].Key].err
}
