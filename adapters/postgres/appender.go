package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// appender makes the batches of one store durable, one after the other. Two at a time
// would be slower: they would be half as large and wait for the same lock.
type appender struct {
	db       *database
	identity eventstore.Identity
	appended func(head eventstore.Position) // told when the log has grown

	// writer and session name where a batch comes from, so that it can be forbidden if its
	// answer is lost; see settle.go.
	writer  eventstore.EventID
	session int64

	patience patience

	conn       *pgxpool.Conn // nil: not connected
	parameters parameters
	head       eventstore.Position // the newest that we know of
}

// patience is how long the appender waits for the server.
type patience struct {
	batch     time.Duration // for the answer to one batch
	reconnect time.Duration // for a connection, before those who wait are told
	settle    time.Duration // for what became of a batch whose answer was lost
}

// run appends what is queued until the queue is closed and empty.
func (a *appender) run(q *groupcommit.Queue) {
	ctx := context.Background() // a caller who goes away must not end the batch of the others
	defer a.disconnect()
	for q.Wait() {
		down := a.connect(ctx, a.patience.reconnect) // while it tries, callers can still leave the queue
		b := newBatch()
		b.appends = q.Cut(b.admit)
		if down != nil {
			answerAll(b.appends, down)
		} else {
			a.process(ctx, b.appends)
		}
	}
}

func answerAll(appends []*groupcommit.Pending, err error) {
	for _, p := range appends {
		p.Answer(err)
	}
}

// process appends a batch and answers everybody in it.
func (a *appender) process(ctx context.Context, appends []*groupcommit.Pending) {
	if len(appends) == 0 {
		return
	}
	left, err := a.attempt(ctx, appends)
	if len(left) < 2 || !isDeterministic(err) {
		answerAll(left, err)
		return
	}
	for n := range left { // one by one, so that only the guilty fails
		answerAll(a.attempt(ctx, left[n:n+1]))
	}
}

// attempt makes the batch durable in one transaction, and answers those whose outcome it
// knows. It returns the others: they have not been appended, unless the error is
// [eventstore.ErrOutcomeUnknown]. After a lost answer these may be a part of the batch; the
// error is not for the rest of it, which is in the log.
func (a *appender) attempt(ctx context.Context, appends []*groupcommit.Pending) (left []*groupcommit.Pending, err error) {
	if err := a.connect(ctx, a.patience.reconnect); err != nil {
		return appends, err
	}
	before := a.head
	got, err := a.call(ctx, appends)
	switch {
	case err == nil:
		a.done(got.outcomes(a.identity.Store, appends))
		answerAll(appends, nil)
		return nil, nil
	case a.conn.Conn().IsClosed() || !isAnswer(err):
		a.disconnect()
		return a.settle(ctx, appends, before, err)
	case needsAnotherServer(err):
		a.disconnect()
	}
	return appends, err
}

// isAnswer reports whether the server itself has refused. Then nothing was appended.
func isAnswer(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok
}

func (a *appender) done(head eventstore.Position) {
	a.head = head
	a.appended(head)
}

// call sends the batch and returns the answer once the server is ready for the next query:
// then the transaction has been committed. An error with which the connection is closed
// tells nothing about the transaction, whatever it says: even "not sent" has been seen for
// a COMMIT that was executed.
func (a *appender) call(ctx context.Context, appends []*groupcommit.Pending) (got answer, err error) {
	conn := a.conn.Conn()
	a.parameters.encode(appends)

	// The deadline is the connection's, not a context's: a watched context would cost a lone
	// writer a twentieth of its rate.
	if err := conn.PgConn().Conn().SetDeadline(time.Now().Add(a.patience.batch)); err != nil {
		return got, err
	}
	err = a.db.session(conn).one(ctx, a.db.sql.append, got.scan, a.parameters.values(a.writer, a.session)...)
	if !conn.IsClosed() {
		err = errors.Join(err, conn.PgConn().Conn().SetDeadline(time.Time{}))
	}
	return got, err
}

// connect makes sure that there is a connection, and tries for so long.
func (a *appender) connect(ctx context.Context, patience time.Duration) error {
	if a.conn != nil && !a.conn.Conn().IsClosed() {
		return nil
	}
	a.disconnect()
	deadline := time.Now().Add(patience)
	for {
		err := a.connectOnce(ctx)
		if errors.Is(err, context.DeadlineExceeded) { // ours, and no caller's
			err = fmt.Errorf("%w: it has not answered for %v: %v", ErrUnavailable, a.patience.reconnect, err)
		}
		if err == nil || !passes(err) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(reconnectPause)
	}
}

func (a *appender) connectOnce(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience.reconnect)
	defer cancel()
	conn, err := a.db.acquireWriter(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			conn.Release()
		}
	}()
	s := a.db.session(conn.Conn())
	if a.identity, a.head, err = s.adopt(ctx, a.db.sql); err != nil {
		return err
	}
	if a.parameters.types, err = s.compositeTypes(ctx, a.db.sql); err != nil {
		return err
	}
	a.conn = conn
	return nil
}

func (a *appender) disconnect() {
	if a.conn != nil {
		a.conn.Release()
		a.conn = nil
	}
}

// isDeterministic tells failures that one append of a batch may be guilty of from those of
// the server.
func isDeterministic(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && classOf(failure) == deterministic
}

func (s session) compositeTypes(ctx context.Context, sql statements) (types compositeTypes, err error) {
	if err := s.one(ctx, sql.compositeTypes, types.scan); err != nil {
		return types, fmt.Errorf("look up the types of appends: %w", err)
	}
	return types, nil
}
