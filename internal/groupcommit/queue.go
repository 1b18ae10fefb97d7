package groupcommit

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Options say how much goes together, and how much may wait.
type Options struct {
	// BatchEvents and BatchBytes bound a batch; an append larger than that goes alone. An
	// append without events counts as one: it too costs a lookup and a row. Required.
	BatchEvents, BatchBytes int
	// Batches is how many batches may wait. Required.
	Batches int
	// Yields is how often other goroutines are let run before a batch is cut. Writers that
	// are about to append are in it then. There is no timer, because a lone writer would
	// pay for it. Default: 0.
	Yields int
	// Patience is how long a caller whose context has ended waits for the answer of an append
	// that is under way; then it gets [eventstore.ErrOutcomeUnknown]. Default: for ever.
	Patience time.Duration
}

// Queue holds the appends that wait for the next transaction.
type Queue struct {
	options Options

	mu      sync.Mutex
	arrived sync.Cond     // signalled for the appender
	freed   chan struct{} // closed, and replaced, when there is room again
	waiting []*Pending
	size    size
	closed  bool
}

// Pending is an append that waits for its answer.
type Pending struct {
	Request eventstore.AppendRequest
	size    size

	// The outcome. The appender writes it before [Pending.Answer], the caller reads it after.
	Receipt eventstore.Receipt
	Err     error

	done chan struct{}
}

// size is what an append weighs in a batch.
type size struct{ events, bytes int }

func (s size) plus(o size) size  { return size{s.events + o.events, s.bytes + o.bytes} }
func (s size) minus(o size) size { return size{s.events - o.events, s.bytes - o.bytes} }

// within reports whether the size is within so many batches.
func (o Options) within(s size, batches int) bool {
	return s.events <= batches*o.BatchEvents && s.bytes <= batches*o.BatchBytes
}

// NewQueue returns an empty queue.
func NewQueue(o Options) *Queue {
	q := &Queue{options: o, freed: make(chan struct{})}
	q.arrived.L = &q.mu
	return q
}

// NewPending wraps a prepared request.
func NewPending(request eventstore.AppendRequest) *Pending {
	return &Pending{
		Request: request,
		size:    size{max(1, request.EventCount()), request.Bytes()},
		done:    make(chan struct{}),
	}
}

// Answer ends the wait of the append's caller, with the outcome as it was set, or with the
// error if there is one.
func (p *Pending) Answer(err error) {
	if err != nil {
		p.Receipt, p.Err = eventstore.Receipt{}, err
	}
	close(p.done)
}

// Submit queues the append and waits for its answer. While it waits for room, the end of
// ctx is [eventstore.ErrStoreBusy], while it is queued, the error of ctx; either way it
// is not appended. After [Queue.Close] it is [eventstore.ErrClosed].
func (q *Queue) Submit(ctx context.Context, p *Pending) (eventstore.Receipt, error) {
	if err := q.Put(ctx, p); err != nil {
		return eventstore.Receipt{}, err
	}
	return q.Await(ctx, p)
}

// Await waits for the answer, and for no longer than ctx while the append is queued.
// Once the appender has taken it, the end of ctx is no answer any more: only the
// transaction knows the outcome.
func (q *Queue) Await(ctx context.Context, p *Pending) (eventstore.Receipt, error) {
	select {
	case <-p.done:
		return p.Receipt, p.Err
	case <-ctx.Done():
		if q.remove(p) {
			return eventstore.Receipt{}, ctx.Err()
		}
	}
	if q.options.Patience == 0 {
		<-p.done
		return p.Receipt, p.Err
	}
	select {
	case <-p.done:
		return p.Receipt, p.Err
	case <-time.After(q.options.Patience):
		// The text only: as a cause, the error of ctx would say that nothing was appended.
		return eventstore.Receipt{}, fmt.Errorf("%w: it was under way for %v when the context ended: %v", eventstore.ErrOutcomeUnknown, q.options.Patience, ctx.Err())
	}
}

// Put waits for room, and for no longer than ctx.
func (q *Queue) Put(ctx context.Context, p *Pending) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for {
		room, err := q.tryPut(p)
		if err != nil || room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("%d batches are queued already: %w: %w", q.options.Batches, eventstore.ErrStoreBusy, ctx.Err())
		}
	}
}

// tryPut queues the append, or returns the channel that will be closed when there is room.
// It looks at what waits already, not at the sum: an append larger than the queue would
// wait for ever.
func (q *Queue) tryPut(p *Pending) (room <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, eventstore.ErrClosed
	}
	if !q.options.within(q.size, q.options.Batches) {
		return q.freed, nil
	}
	q.waiting = append(q.waiting, p)
	q.size = q.size.plus(p.size)
	q.arrived.Signal()
	return nil, nil
}

// remove takes an append back and reports whether it was still waiting.
func (q *Queue) remove(p *Pending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting, p)
	if at < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	q.release(p.size)
	return true
}

// Wait returns true when appends wait, and false once the queue is closed and empty.
func (q *Queue) Wait() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.arrived.Wait()
	}
	return len(q.waiting) > 0
}

// Waiting returns how many appends wait.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Cut removes a batch's worth from the front, nothing if all who waited have left.
//
// Of so many events that wait, share says how many are taken at most; an append that is
// larger goes alone, and with 0 nothing is taken. A nil share takes all that fit. An append
// that admit refuses stays where it is for a later batch; admit is asked once for each in
// order and must accept the first. A nil admit accepts all.
func (q *Queue) Cut(share func(waiting int) int, admit func(*Pending) bool) []*Pending {
	for range q.options.Yields {
		runtime.Gosched()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	most := q.options.BatchEvents
	if share != nil {
		most = min(most, share(q.size.events))
	}
	if most == 0 || len(q.waiting) == 0 {
		return nil
	}
	var total size
	var batch []*Pending
	kept := q.waiting[:0]
	full := false
	for _, p := range q.waiting {
		sum := total.plus(p.size)
		full = full || len(batch) > 0 && (sum.events > most || sum.bytes > q.options.BatchBytes)
		if full || admit != nil && !admit(p) {
			kept = append(kept, p)
			continue
		}
		batch, total = append(batch, p), sum
	}
	clear(q.waiting[len(kept):])
	q.waiting = kept
	q.release(total)
	return batch
}

// release is for callers that hold the lock.
func (q *Queue) release(freed size) {
	q.size = q.size.minus(freed)
	close(q.freed)
	q.freed = make(chan struct{})
}

// Close refuses appends from now on. What waits already will still be cut.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.release(size{}) // those who wait for room learn that there will be none
	q.arrived.Signal()
}

// Discard refuses everything that still waits.
func (q *Queue) Discard() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.waiting {
		p.Answer(eventstore.ErrClosed)
	}
	q.waiting, q.size = nil, size{}
}
