package sqlite

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

// queue holds the appends that wait for the next transaction.
type queue struct {
	mu      sync.Mutex
	arrived sync.Cond     // signalled for the appender
	freed   chan struct{} // closed, and replaced, when there is room again
	waiting []*pending
	size    size
	closed  bool
}

// pending is an append that waits for its answer.
type pending struct {
	request eventstore.AppendRequest
	size    size

	// The answer, to be read once done is closed.
	done    chan struct{}
	receipt eventstore.Receipt
	err     error
}

// size is what an append weighs in a batch.
type size struct{ events, bytes int }

func (s size) plus(o size) size  { return size{s.events + o.events, s.bytes + o.bytes} }
func (s size) minus(o size) size { return size{s.events - o.events, s.bytes - o.bytes} }

// within reports whether the size is within so many batches.
func (s size) within(batches int) bool {
	return s.events <= batches*batchEvents && s.bytes <= batches*batchBytes
}

func newQueue() *queue {
	q := &queue{freed: make(chan struct{})}
	q.arrived.L = &q.mu
	return q
}

// newPending counts an append without events as one: it too costs a lookup and a row.
func newPending(request eventstore.AppendRequest) *pending {
	return &pending{
		request: request,
		size:    size{max(1, request.EventCount()), request.Bytes()},
		done:    make(chan struct{}),
	}
}

func (p *pending) answer(err error) {
	if err != nil {
		p.receipt, p.err = eventstore.Receipt{}, err
	}
	close(p.done)
}

// submit queues the append and waits for its answer.
func (q *queue) submit(ctx context.Context, p *pending) (eventstore.Receipt, error) {
	if err := q.put(ctx, p); err != nil {
		return eventstore.Receipt{}, err
	}
	return q.await(ctx, p)
}

// await waits for the answer, and for no longer than ctx while the append is queued.
// Once the appender has taken it, the end of ctx is no answer any more: only the
// transaction knows the outcome.
func (q *queue) await(ctx context.Context, p *pending) (eventstore.Receipt, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		if q.remove(p) {
			return eventstore.Receipt{}, ctx.Err()
		}
		<-p.done
	}
	return p.receipt, p.err
}

// put waits for room, and for no longer than ctx.
func (q *queue) put(ctx context.Context, p *pending) error {
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
			return fmt.Errorf("sqlite: %d batches are queued already: %w: %w", queuedBatches, eventstore.ErrStoreBusy, ctx.Err())
		}
	}
}

// tryPut queues the append, or returns the channel that will be closed when there is room.
// It looks at what waits already, not at the sum: an append larger than the queue would
// wait for ever.
func (q *queue) tryPut(p *pending) (room <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, eventstore.ErrClosed
	}
	if !q.size.within(queuedBatches) {
		return q.freed, nil
	}
	q.waiting = append(q.waiting, p)
	q.size = q.size.plus(p.size)
	q.arrived.Signal()
	return nil, nil
}

// remove takes an append back and reports whether it was still waiting.
func (q *queue) remove(p *pending) bool {
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

// take waits for appends and returns the next batch, nil once the queue is closed and
// empty. It lets other goroutines run once before it looks: writers that are about to
// append then share the fsync. There is no timer, because a lone writer would pay for it.
func (q *queue) take() []*pending {
	for q.wait() {
		runtime.Gosched()
		if batch := q.cut(); len(batch) > 0 {
			return batch
		}
	}
	return nil
}

func (q *queue) wait() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.arrived.Wait()
	}
	return len(q.waiting) > 0
}

// cut removes a batch's worth from the front; an append larger than a batch goes alone.
func (q *queue) cut() []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	var total size
	n := 0
	for ; n < len(q.waiting); n++ {
		sum := total.plus(q.waiting[n].size)
		if n > 0 && !sum.within(1) {
			break
		}
		total = sum
	}
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.release(total)
	return batch
}

// release is for callers that hold the lock.
func (q *queue) release(freed size) {
	q.size = q.size.minus(freed)
	close(q.freed)
	q.freed = make(chan struct{})
}

// close refuses appends from now on. What waits already will still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.release(size{}) // those who wait for room learn that there will be none
	q.arrived.Signal()
}

// discard refuses everything that still waits.
func (q *queue) discard() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.waiting {
		p.answer(eventstore.ErrClosed)
	}
	q.waiting, q.size = nil, size{}
}
