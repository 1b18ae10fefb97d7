package sqlite

import (
	"context"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/wake"
)

// WaitAppended implements [eventstore.Notifier]. An append of this store wakes it at
// once, one of another store or process on the same file within 50 ms.
func (s *Store) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	leave, err := s.wakeups.enter()
	if err != nil {
		return err
	}
	defer leave()
	for {
		// Taken before the head is read: an append between the two closes it.
		woken := s.wakeups.signal.Next()
		head, err := s.Head(ctx)
		if err != nil || head.Position > beyond {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wakeups.closed:
			return eventstore.ErrClosed
		case <-woken:
		}
	}
}

// wakeups tells those who wait that the log may have grown. It is only a hint; they
// look for themselves.
type wakeups struct {
	file   *file
	signal wake.Signal
	closed chan struct{}

	mu      sync.Mutex
	waiters int
	stop    context.CancelFunc // ends the poller, which runs while there are waiters
	polling sync.WaitGroup
}

func (w *wakeups) open(f *file) {
	w.file, w.closed, w.stop = f, make(chan struct{}), func() {}
}

// enter registers somebody who waits. The first one starts the poller, the last one to
// leave stops it.
func (w *wakeups) enter() (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.closed:
		return nil, eventstore.ErrClosed
	default:
	}
	if w.waiters++; w.waiters == 1 {
		var ctx context.Context
		ctx, w.stop = context.WithCancel(context.Background())
		w.polling.Go(func() { w.poll(ctx) })
	}
	return w.leave, nil
}

func (w *wakeups) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiters--; w.waiters == 0 {
		w.stop()
	}
}

// close sends everybody away and waits for the poller.
func (w *wakeups) close() {
	w.mu.Lock()
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}
	w.stop()
	w.mu.Unlock()
	w.polling.Wait()
}

// poll wakes everybody when another connection has committed. It wakes them once at
// the start too: a commit between a waiter's look and our first one is not seen as a
// change. On an error they are woken to meet it themselves.
func (w *wakeups) poll(ctx context.Context) {
	last, every := int64(-1), minPoll
	for pause(ctx, every) == nil {
		version, err := w.file.dataVersion()
		if version == last && err == nil {
			every = min(2*every, maxPoll)
			continue
		}
		last, every = version, minPoll
		w.signal.Notify()
	}
}
