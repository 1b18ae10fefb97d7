package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// The bounds of a handler's transaction: how long it may wait for a lock, and pause while it
// holds some. It may set others.
const boundHandlerSQL = "SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '10s'"

// Transact implements [projection.TxSink]. The transaction is READ COMMITTED. It has made the
// move when apply is called, so that a runner which comes too late does no work in vain, and
// ends with apply; [Store.In] appends in it. The server breaks it off if a statement waits more
// than 5 seconds for a lock, or apply pauses more than 10 seconds between two statements;
// SET LOCAL of lock_timeout and idle_in_transaction_session_timeout changes that. An error of
// apply that comes from a deadlock, a wait for a lock, a full disk, or the end of the connection,
// is an [eventstore.ErrStoreBusy] too: the event is not at fault.
func (s *Sink) Transact(ctx context.Context, of projection.Generation, move projection.Move, apply func(ctx context.Context, tx pgx.Tx) error) error {
	return s.handle(ctx, apply, func(on session, _ pgx.Tx) error {
		if err := s.move(ctx, on, s.db.sql.moveCheckpoint, of, move); err != nil {
			return err
		}
		return s.park(ctx, on, of, move)
	})
}

// handle does something of ours, and then of the handler's, in one transaction.
func (s *Sink) handle(ctx context.Context, apply func(ctx context.Context, tx pgx.Tx) error, ours func(on session, tx pgx.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.db.on(ctx, s.db.handlers, func(on session) error {
		err := inTransaction(ctx, on.conn, "", func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, boundHandlerSQL); err != nil {
				return explain(err)
			}
			if err := ours(on, tx); err != nil {
				return err
			}
			if err := apply(ctx, handlerTx{tx}); err != nil {
				return noFaultOfHandler(tx, err)
			}
			return checkHandled(tx)
		})
		if err != nil {
			return err
		}
		return on.replicated()
	})
	if err == nil {
		s.news.committed()
	}
	return err
}

// handlerTx is a transaction that is not the handler's to end.
type handlerTx struct{ pgx.Tx }

var errHandlersTx = errors.New("postgres: the transaction of a handler is committed when the handler returns nil, and rolled back when it returns an error")

func (handlerTx) Commit(context.Context) error   { return errHandlersTx }
func (handlerTx) Rollback(context.Context) error { return errHandlersTx }

// noFaultOfHandler marks an error as one that passes if it is the server's, and not because of
// what the handler asked for. A statement that took too long, or a pause, is the handler's own.
func noFaultOfHandler(tx pgx.Tx, err error) error {
	failure, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case refused && failure.Code != "57014" && failure.Code != "25P03":
		switch classOf(failure) {
		case busy, unavailable, readOnly, full, stale:
			return fmt.Errorf("%w: %w", errBusy, err)
		default:
			return err
		}
	case !refused && tx.Conn().IsClosed() && !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// checkHandled refuses to commit for a handler that says that all is well, and it is not.
func checkHandled(tx pgx.Tx) error {
	switch conn := tx.Conn().PgConn(); {
	case conn.IsClosed():
		return nil // the commit tells
	case conn.IsBusy():
		return errors.New("postgres: the handler has left rows open: close them, or read them to their end")
	case conn.TxStatus() == 'E':
		return errors.New("postgres: a statement of the handler failed, and the handler did not return its error; to go on after one, use a savepoint (pgx.BeginFunc)")
	case conn.TxStatus() == 'I':
		return fmt.Errorf("%w: postgres: the handler has ended its transaction by a statement of its own: if it committed, the checkpoint is past events that were not handled; build the read model anew", subscription.ErrPermanent)
	}
	return nil
}
