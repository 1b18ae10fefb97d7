package query

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Head remembers how far a log had come and when, by the clock of this process, so that the age
// of an answer can be told. It reads the log's head when somebody asks and it has not done so
// recently enough; questions that come meanwhile share the next read. It is safe for concurrent
// use; make one for each log.
type Head struct {
	log interface {
		Head(ctx context.Context) (eventstore.Token, error)
	}
	turn chan struct{} // whoever holds it reads

	mu      sync.Mutex
	moments []moment // in order of time
}

// moment is what is known of a log: at this time, or later, its head was here.
type moment struct {
	at   time.Time
	head eventstore.Token
}

// NewHead returns the head of a log, an [eventstore.LogReader].
func NewHead(log interface {
	Head(ctx context.Context) (eventstore.Token, error)
}) *Head {
	return &Head{log: log, turn: make(chan struct{}, 1)}
}

// since returns the head as it was at the time, or later.
func (h *Head) since(ctx context.Context, at time.Time) (eventstore.Token, error) {
	if m, ok := h.newest(); ok && !m.at.Before(at) {
		return m.head, nil
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return eventstore.Token{}, ctx.Err()
	}
	if m, ok := h.newest(); ok && !m.at.Before(at) {
		return m.head, nil // whoever had the turn before began later than we came
	}
	began := time.Now() // before the read: what was there by now is below the head
	head, err := h.log.Head(ctx)
	if err != nil {
		return eventstore.Token{}, err
	}
	h.remember(moment{began, head})
	return head, nil
}

func (h *Head) newest() (moment, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.moments) == 0 {
		return moment{}, false
	}
	return h.moments[len(h.moments)-1], true
}

// remember keeps a moment. Of the older ones it forgets what the age of an answer can be told
// without, to about a tenth: a few hundred are left of a year.
func (h *Head) remember(m moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.moments); n > 0 && h.moments[n-1].head.Incarnation != m.head.Incarnation {
		h.moments = nil // positions of another life
	}
	kept := make([]moment, 0, len(h.moments)+1)
	for n, old := range h.moments {
		between := n > 0 && n < len(h.moments)-1
		if between && h.moments[n+1].at.Sub(kept[len(kept)-1].at) < m.at.Sub(old.at)/10 {
			continue
		}
		kept = append(kept, old)
	}
	kept = append(kept, m)
	h.moments = kept
}

// forget drops what is known of a life of the log, which has ended.
func (h *Head) forget(life eventstore.Identity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moments = slices.DeleteFunc(h.moments, func(m moment) bool { return m.head.Identity == life })
}

// reached returns the last known time at which the log was no further than the token; the zero
// time if none is known.
func (h *Head) reached(token eventstore.Token) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range slices.Backward(h.moments) {
		if m.head.Identity == token.Identity && m.head.Position <= token.Position {
			return m.at
		}
	}
	return time.Time{}
}
