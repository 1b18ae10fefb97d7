package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

var errStrays = errors.New("too many parts of this name ignore that their context has ended; it was not asked")

// late is when the next part is left behind.
func (r *composition) late() <-chan time.Time {
	if r.timer == nil {
		return nil
	}
	return r.timer.C
}

// leaveBy leaves behind at the time what still runs then.
func (r *composition) leaveBy(at time.Time) {
	for _, p := range r.parts {
		if p := p.common(); p.left.IsZero() || p.left.After(at) {
			p.left = at
		}
	}
	r.arm()
}

// arm sets the timer to the first part that will be left behind.
func (r *composition) arm() {
	var first time.Time
	for _, p := range r.parts {
		if p := p.common(); p.state.Load() == asked && !p.left.IsZero() && (first.IsZero() || p.left.Before(first)) {
			first = p.left
		}
	}
	switch {
	case first.IsZero():
	case r.timer == nil:
		r.timer = time.NewTimer(time.Until(first))
	default:
		r.timer.Reset(time.Until(first))
	}
}

// leave goes on without the parts whose time is up. One that settles at this moment will say so
// by itself.
func (r *composition) leave(now time.Time) {
	for _, p := range r.parts {
		if p := p.common(); !p.left.IsZero() && !p.left.After(now) && r.abandon(p) {
			over := cmp.Or(r.ctx.Err(), context.DeadlineExceeded)
			p.settle(fmt.Errorf("%w, and it goes on all the same; let it end with its context", over), over)
			r.running.Add(-1)
		}
	}
	r.judge()
	r.arm()
}

// abandon makes a stray of a part that runs, and reports whether it did run.
func (c *Composer) abandon(p *part) bool {
	c.mu.Lock() // before the part itself counts down
	defer c.mu.Unlock()
	if !p.state.CompareAndSwap(asked, stray) {
		return false
	}
	c.count(p.name, +1)
	return true
}

func (c *Composer) strayed(name string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(name, by)
}

// count is called under mu.
func (c *Composer) count(name string, by int) {
	if c.strays == nil {
		c.strays = map[string]int{}
	}
	c.total.Add(int32(by))
	if c.strays[name] += by; c.strays[name] == 0 {
		delete(c.strays, name)
	}
}

// mayStray reports whether there is room for one more stray of the name.
func (c *Composer) mayStray(name string) bool {
	if c.total.Load() == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.strays[name] < cmp.Or(max(0, c.Strays), defaultStrays)
}
