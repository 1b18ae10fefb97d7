package query

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/moments"
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
	life    eventstore.Identity // of the log, whose positions history has
	history moments.History
}

// NewHead returns the head of a log, an [eventstore.LogReader].
func NewHead(log interface {
	Head(ctx context.Context) (eventstore.Token, error)
}) *Head {
	return &Head{log: log, turn: make(chan struct{}, 1)}
}

// mostForHead is how long it may take to read a head.
const mostForHead = 5 * time.Second

var errNoHead = fmt.Errorf("the log has not answered within %v: %w", mostForHead, context.DeadlineExceeded)

// since returns the head as it was at the time, or later.
func (h *Head) since(ctx context.Context, at time.Time) (eventstore.Token, error) {
	if head, ok := h.known(at); ok {
		return head, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, mostForHead, errNoHead) // who hangs must not hold up all others
	defer cancel()
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return eventstore.Token{}, context.Cause(ctx)
	}
	if head, ok := h.known(at); ok {
		return head, nil // whoever had the turn before began later than we came
	}
	began := time.Now() // before the read: what was there by now is below the head
	head, err := h.log.Head(ctx)
	if err != nil {
		return eventstore.Token{}, cmp.Or(context.Cause(ctx), err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life != head.Identity {
		h.life = head.Identity
		h.history.Forget() // positions of another life
	}
	h.history.Remember(moments.Moment{At: began, Position: int64(head.Position)})
	return head, nil
}

// known returns the newest head, if it was read after the time. At the time is not enough: a clock
// may stand still while the log is read, an event is appended, and somebody asks for it.
func (h *Head) known(at time.Time) (eventstore.Token, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	newest, ok := h.history.Newest()
	return eventstore.Token{Identity: h.life, Position: eventstore.Position(newest.Position)}, ok && newest.At.After(at)
}

// forget drops what is known of a life of the log, which has ended.
func (h *Head) forget(life eventstore.Identity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life == life {
		h.history.Forget()
	}
}

// reached returns the last known time at which the log was no further than the token; the zero
// time if none is known.
func (h *Head) reached(token eventstore.Token) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life != token.Identity {
		return time.Time{}
	}
	return h.history.Reached(int64(token.Position))
}
