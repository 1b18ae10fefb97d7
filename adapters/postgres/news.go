package postgres

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/internal/wake"
)

// news is how the sinks of different processes on one schema hear of each other's commits.
//
// Telling is a statement of its own, after the commit. Transactions that notify are committed
// one after the other on the whole server, each with its flush; a commit that did it itself
// would wait for all appends, and they for it. This one has nothing to flush. It may come late
// or be lost: who waits for a commit looks again after a while in any case.
type news struct {
	db     *database
	direct *pgx.ConnConfig // for a connection that can listen; nil: there is none

	changed wake.Signal // somebody has committed

	mu      sync.Mutex
	telling bool // a goroutine does
	more    bool // a commit since it told the last one
	hearing bool // a goroutine does
	closed  bool // no goroutine begins any more
	running sync.WaitGroup
}

func newNews(db *database, direct *pgx.ConnConfig) *news {
	if direct == nil && !db.pooled {
		direct = db.pool.Config().ConnConfig
	}
	return &news{db: db, direct: direct}
}

// committed wakes those who wait in this process, and has the others told.
func (n *news) committed() {
	n.changed.Notify()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.more = true
	if !n.telling && !n.closed {
		n.telling = true
		n.running.Go(n.tell)
	}
}

// tell tells of all commits so far, and of those that come meanwhile together.
func (n *news) tell() {
	for n.hasMore() {
		// Nobody relies on it, and the commit after this one tells again.
		_ = n.db.on(n.db.reading, n.db.models, func(on session) error {
			_, err := on.row(n.db.reading, n.db.sql.tellModels, noColumns, []byte(n.db.schema))
			return err
		})
		pause(n.db.reading, tellEvery)
	}
}

func (n *news) hasMore() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.telling, n.more = n.more && !n.db.reading.over(), false
	return n.telling
}

// next returns a channel that is closed at the next commit, here or, as soon as we listen,
// elsewhere.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.hearing && n.direct != nil && !n.closed {
		n.hearing = true
		n.running.Go(n.hear)
	}
	return n.changed.Next()
}

// hear listens until the sink is closed, on a connection of its own.
func (n *news) hear() {
	ctx := n.db.reading
	for ctx.Err() == nil {
		n.listen(ctx)
		pause(ctx, lookEvery)
	}
}

// listen listens until the connection breaks. An error needs no report: those who wait look
// again by themselves meanwhile.
func (n *news) listen(ctx context.Context) {
	conn, err := connect(ctx, n.db.pool.Config(), n.direct)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only listened to
	if _, err := conn.Exec(ctx, "LISTEN leftfold_models"); err != nil {
		return // a standby cannot
	}
	n.changed.Notify() // of what was committed before
	for err == nil {
		var heard *pgconn.Notification
		if heard, err = conn.WaitForNotification(ctx); err == nil && heard.Payload == string(n.db.schema) {
			n.changed.Notify()
			pause(ctx, hearEvery) // any role may notify, as often as it likes
		}
	}
}

// close waits for the goroutines, which end with the lifetime of reads.
func (n *news) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.running.Wait()
}
