// Package moments remembers how far something had come that only grows, and when: a log, or what
// a server has written. From that it tells how old a copy is which has come so far, by the clock
// of this process alone.
package moments

import (
	"slices"
	"sync"
	"time"
)

// History is what is remembered. The zero value is empty. It is safe for concurrent use.
type History struct {
	mu      sync.Mutex
	moments []Moment // in order of time
}

// Moment says that at this time, or later, it had come so far.
type Moment struct {
	At       time.Time
	Position int64
}

// Remember adds a moment that is not before the last one. Of the older ones it drops those without
// which an age can still be told to about a tenth: a few hundred are left of a year.
func (h *History) Remember(m Moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := make([]Moment, 0, len(h.moments)+1)
	for n, old := range h.moments {
		between := n > 0 && n < len(h.moments)-1
		if between && h.moments[n+1].At.Sub(kept[len(kept)-1].At) < m.At.Sub(old.At)/10 {
			continue
		}
		kept = append(kept, old)
	}
	kept = append(kept, m)
	h.moments = kept
}

// Newest returns the last moment, and whether there is one.
func (h *History) Newest() (Moment, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.moments) == 0 {
		return Moment{}, false
	}
	return h.moments[len(h.moments)-1], true
}

// Reached returns the last known time at which it had come no further than the position; the zero
// time if none is known. What is at the position has everything from before that time.
func (h *History) Reached(position int64) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range slices.Backward(h.moments) {
		if m.Position <= position {
			return m.At
		}
	}
	return time.Time{}
}

// Forget drops everything: what was remembered has ended, and another one has begun.
func (h *History) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moments = nil
}
