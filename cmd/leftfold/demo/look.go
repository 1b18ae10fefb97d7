package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
	"github.com/leftfold/leftfold/projection"
)

// look is how everything stands at a moment, read from the stores of the services, beside them.
type look struct {
	at     time.Time
	events int64 // in all five logs
	views  []view

	placed, fulfilled, cancelled int64 // orders, ever
}

// view is how a read model stands.
type view struct {
	service string
	of      projection.Generation
	behind  int64         // events
	since   time.Duration // the oldest of them was recorded
	trouble string        // why it does not go on; empty if it does
}

func (l look) open() int64 { return l.placed - l.fulfilled - l.cancelled }

// worst is the read model that is the most behind.
func (l look) worst() (w view) {
	for _, v := range l.views {
		if v.behind >= w.behind {
			w = v
		}
	}
	return w
}

// watcher looks again and again. It reads of the order log what is new only.
type watcher struct {
	read eventstore.Position
	now  look // without the lock: by whoever looks

	mu     sync.Mutex
	last   look
	looked chan struct{}
}

// Names of events that are counted.
const (
	isPlaced    = "order.placed"
	isFulfilled = "order.fulfilled"
	isCancelled = "order.cancelled"
)

// look looks, and returns how orders have ended since the last time.
func (w *watcher) look(ctx context.Context, all books.Services) (ended []eventstore.Recorded, err error) {
	next := look{at: time.Now(), placed: w.now.placed, fulfilled: w.now.fulfilled, cancelled: w.now.cancelled}
	reading, err := all["order"].Store.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Types(isPlaced, isFulfilled, isCancelled), After: w.read})
	if err != nil {
		return nil, fmt.Errorf("look at the orders: %w", err)
	}
	for m, err := range reading.Events() {
		if err != nil {
			return nil, fmt.Errorf("look at the orders: %w", err)
		}
		switch m.Type {
		case isPlaced:
			next.placed++
		case isFulfilled:
			next.fulfilled++
			ended = append(ended, m)
		case isCancelled:
			next.cancelled++
			ended = append(ended, m)
		}
	}
	for _, name := range shop.Names {
		part := all[name]
		head, err := part.Store.Head(ctx)
		if err != nil {
			return nil, fmt.Errorf("look at the log of %s: %w", name, err)
		}
		next.events += int64(head.Position)
		for _, v := range part.Service.Views {
			s, err := projection.StatusOf(ctx, part.Store, part.Store.Sink, v.Generation())
			if err != nil {
				return nil, err
			}
			is := view{name, s.Generation, s.Lag(), s.Behind, trouble(s)}
			if s.Stage == "" { // it is not there yet, or has just been removed
				is.behind = 0
			}
			next.views = append(next.views, is)
		}
	}
	w.read = reading.Token().Position
	w.see(next)
	return ended, nil
}

// see tells whoever waits for a look.
func (w *watcher) see(next look) {
	w.now = next
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = next
	if w.looked != nil {
		close(w.looked)
	}
	w.looked = make(chan struct{})
}

// ended is how many orders had ended when it looked last.
func (w *watcher) ended() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.fulfilled + w.last.cancelled
}

// again is closed when it has looked again.
func (w *watcher) again() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looked
}

// trouble is what keeps a read model from going on.
func trouble(s projection.Status) string {
	for _, l := range s.Segments {
		if r := l.Report; r.Fence == l.Fence && r.State != subscription.Running && r.State != "" {
			return r.Note
		}
	}
	if len(s.Parked) > 0 {
		return fmt.Sprintf("%d keys are parked: %s", len(s.Parked), s.Parked[0].Cause)
	}
	return ""
}
