package postgres

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/wake"
)

// WaitAppended implements [eventstore.Notifier]. An append of this store wakes it at once,
// one of another process by a notification of the server. Where notifications do not
// arrive (behind a proxy, on a standby, while the connection is down) the head is polled.
func (s *Store) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	leave, err := s.wakeups.enter()
	if err != nil {
		return err
	}
	defer leave()
	if s.wakeups.isNews(beyond) {
		return nil
	}
	// What was appended before anybody listened. If the server is away, the follower will see.
	if err := s.wakeups.look(ctx); err != nil && !errors.Is(err, eventstore.ErrStoreBusy) {
		return err
	}
	for {
		// Taken before the head is looked at: an append between the two closes it.
		woken := s.wakeups.signal.Next()
		if s.wakeups.head().Position > beyond {
			return nil
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

// wakeups tells those who wait how far the log has come. From the first of them until the
// store is closed, one goroutine follows the log: it listens, or polls where it cannot.
type wakeups struct {
	store  *Store
	direct *pgx.ConnConfig // nil: no connection that can listen
	closed chan struct{}

	signal  wake.Signal // the head has moved
	arrived wake.Signal // somebody waits

	mu       sync.Mutex
	seen     eventstore.Token // the newest head
	told     bool             // somebody was told of it without a look at the log
	waiters  int
	follower sync.WaitGroup
	stop     context.CancelFunc // nil: no follower yet
}

func (w *wakeups) open(s *Store, direct *pgx.ConnConfig) {
	w.store, w.direct, w.closed = s, direct, make(chan struct{})
	if direct == nil && !s.db.pooled {
		w.direct = s.db.pool.Config().ConnConfig
	}
}

// enter registers somebody who waits. The first one starts the follower.
func (w *wakeups) enter() (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.closed:
		return nil, eventstore.ErrClosed
	default:
	}
	if w.stop == nil {
		var ctx context.Context
		ctx, w.stop = context.WithCancel(context.Background())
		w.follower.Go(func() { w.follow(ctx) })
	}
	w.waiters++
	w.arrived.Notify()
	return w.leave, nil
}

func (w *wakeups) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiters--
}

// close sends everybody away and waits for the follower.
func (w *wakeups) close() {
	w.mu.Lock()
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}
	if w.stop != nil {
		w.stop()
	}
	w.mu.Unlock()
	w.follower.Wait()
}

func (w *wakeups) head() eventstore.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// isNews reports whether a head beyond a position is known of which nobody was told. Who was told
// and found nothing there comes again, and is not told the same: the log may have been rolled
// back since, and whoever waits would ask for ever.
func (w *wakeups) isNews(beyond eventstore.Position) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := !w.told && w.seen.Position > beyond
	w.told = w.told || news
	return news
}

// saw notes a head that the log has had. It may be older than what is known; in another
// incarnation it stands, and may be lower.
func (w *wakeups) saw(head eventstore.Token) {
	w.mu.Lock()
	moved := head.Identity != w.seen.Identity || head.Position > w.seen.Position
	if moved {
		w.seen, w.told = head, false
	}
	w.mu.Unlock()
	if moved {
		w.signal.Notify()
	}
}

// look asks for the head.
func (w *wakeups) look(ctx context.Context) error {
	head, err := w.store.Head(ctx)
	if err == nil {
		w.saw(head)
	}
	return err
}

func (w *wakeups) follow(ctx context.Context) {
	for ctx.Err() == nil {
		w.listen(ctx)
		w.poll(ctx)
	}
}

// listen follows by notifications until the connection breaks. An error needs no report:
// the follower polls then, and tries again.
func (w *wakeups) listen(ctx context.Context) {
	if w.direct == nil {
		return
	}
	conn, err := connect(ctx, w.store.db.pool.Config(), w.direct)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only listened to
	if _, err := conn.Exec(ctx, "LISTEN "+w.store.db.schema.quoted()); err != nil {
		return
	}
	for err == nil || pgconn.Timeout(err) {
		// A notification may be lost in between: with the last connection, or on a server that
		// has too many of them. So we look now and then.
		if w.look(ctx) != nil {
			return
		}
		err = w.hear(ctx, conn)
	}
}

// hear waits for a notification of a head that is news, or for a while.
//
// What it says is no more than a reason to look: any role of the database may notify on any
// channel, and a head that is none would wake everybody who waits, again and again.
func (w *wakeups) hear(ctx context.Context, conn *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	for {
		heard, err := conn.WaitForNotification(waiting)
		if err != nil {
			return err
		}
		if head, err := strconv.ParseInt(heard.Payload, 10, 64); err == nil && eventstore.Position(head) > w.head().Position {
			return nil
		}
	}
}

// poll follows by asking: often at first, then ever more seldom, and not at all while nobody
// waits. Where it would be better to listen, it ends after a while.
func (w *wakeups) poll(ctx context.Context) {
	every, last := minPoll, w.head()
	for start := time.Now(); w.direct == nil || time.Since(start) < lookEvery; {
		if !w.somebodyWaits(ctx) || !pause(ctx, every) {
			return
		}
		_ = w.look(ctx) // the server may be down; those who wait have contexts of their own
		if head := w.head(); head == last {
			every = min(2*every, maxPoll)
		} else {
			every, last = minPoll, head
		}
	}
}

// somebodyWaits waits for that; false: ctx has ended.
func (w *wakeups) somebodyWaits(ctx context.Context) bool {
	for {
		arrived := w.arrived.Next()
		w.mu.Lock()
		waiters := w.waiters
		w.mu.Unlock()
		if waiters > 0 {
			return ctx.Err() == nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return false
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
