package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Read runs f in a read-only transaction that has what [query.Ask] requires of the generation: for
// the tables of a handler, and for SQL that no [projection.Reader] asks. It waits for that as
// readers do, and its errors are theirs. Everything that f reads is as of one moment, the one at
// which Read has seen how far the generation is. Which rows f will read is not known, so while
// keys are parked, at or before what is required, it fails with a [projection.ParkedError].
//
// In that transaction the rows of the generation are fresh, and those of no other one: read the
// table of a view by its name, view_<name>_<version>, and not by live_<name>. The transaction ends
// when f returns; f must have closed its rows by then. An error of f comes back as it is, and with
// [projection.ErrInterrupted] if the server is to blame. Up to 8 reads run at a time, on
// connections of their own; others wait. A TRUNCATE, as of a Reset, is of no moment: f may find a table
// empty that was reset behind the moment of Read.
func (s *Sink) Read(ctx context.Context, of projection.Generation, f func(ctx context.Context, tx pgx.Tx) error) error {
	r := &held{of: of, changed: s.Changed, by: func(ctx context.Context, _ projection.Generation, _ []eventstore.Token, look lookAt) (projection.Look, error) {
		return look(ctx, s)
	}}
	return r.run(ctx, f)
}

// lookAt looks at a sink of one server.
type lookAt = func(ctx context.Context, at projection.Readable) (projection.Look, error)

// held is a look that keeps its transaction open, if it has what is required.
type held struct {
	of      projection.Generation
	by      func(ctx context.Context, of projection.Generation, required []eventstore.Token, look lookAt) (projection.Look, error)
	changed func() <-chan struct{}

	required []eventstore.Token // nil: what ctx requires
	at       projection.Readable
	conn     *pgxpool.Conn
	keep     func() bool // the connection, from the end of the sink's life
	tx       pgx.Tx
	broken   map[projection.Readable]error // what servers that have broken off f said
}

func (r *held) Changed() <-chan struct{} { return r.changed() }

// Look implements [projection.Readable].
func (r *held) Look(ctx context.Context, _ projection.Model, _ projection.RowQuery) (projection.Look, error) {
	required := r.required
	if required == nil {
		required = query.Required(ctx)
	}
	return r.by(ctx, r.of, required, func(ctx context.Context, at projection.Readable) (projection.Look, error) {
		r.end(ctx)
		if err := r.broken[at]; err != nil {
			return projection.Look{}, err
		}
		look, err := r.begin(ctx, at)
		if isStale(err) && r.conn != nil {
			_ = r.conn.Conn().Close(ctx) // whether it can be told or not
		}
		if err != nil || !look.Has(required) {
			r.end(ctx) // nobody waits for an answer with a connection in his hand
		}
		return look, interrupted(err)
	})
}

// begin begins a transaction, and looks in it. The look takes the snapshot that all that follows
// it sees.
func (r *held) begin(ctx context.Context, at projection.Readable) (look projection.Look, err error) {
	sink, err := sinkOf(at)
	if err != nil {
		return look, err
	}
	r.at = at
	if r.conn, err = acquire(ctx, sink.db.queries, sink.db.reading); err != nil {
		return look, err
	}
	r.keep = cutAtTheEnd(r.conn, sink.db.reading)
	if r.tx, err = r.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return look, explain(err)
	}
	return sink.lookAt(ctx, sink.db.session(r.conn.Conn()), r.of)
}

// end ends the transaction, if there is one.
func (r *held) end(ctx context.Context) {
	if r.conn == nil {
		return
	}
	if r.tx != nil {
		_ = r.tx.Rollback(ctx) // if that fails the connection is closed, and the transaction with it
	}
	r.keep()
	r.conn.Release()
	r.conn, r.tx = nil, nil
}

// run calls f in the transaction of a look that is enough; once more, on another server, if one
// breaks it off.
func (r *held) run(ctx context.Context, f func(ctx context.Context, tx pgx.Tx) error) error {
	for r.broken = map[projection.Readable]error{}; ; {
		if err := r.await(ctx); err != nil {
			r.end(ctx)
			return fmt.Errorf("read %s: %w", r.of, err)
		}
		broken, err := r.call(ctx, f)
		if !broken {
			return err
		}
		r.broken[r.at] = fmt.Errorf("%w: %w", projection.ErrInterrupted, explain(err))
	}
}

func (r *held) call(ctx context.Context, f func(ctx context.Context, tx pgx.Tx) error) (broken bool, err error) {
	defer r.end(ctx) // f may end its goroutine
	err = f(ctx, r.tx)
	return r.brokenOff(ctx, err), err
}

func (r *held) await(ctx context.Context) error {
	r.required = nil
	look, err := projection.AwaitLook(ctx, r, projection.Model{Generation: r.of}, projection.RowQuery{}, func(string) bool { return true })
	if err != nil || r.tx != nil {
		return err
	}
	// The look is accepted although it lacks something: stale rows will do. Its transaction has
	// ended, and the next one must not lack more.
	r.required = look.Tokens()
	look, err = r.Look(ctx, projection.Model{}, projection.RowQuery{})
	if err == nil && r.tx == nil {
		err = errBehind
	}
	query.Include(ctx, r.of.Name, look.Newest()...)
	return err
}

// brokenOff reports whether the server, and not f, has ended the transaction. An error of another
// server, which f has asked too, leaves it as it is.
func (r *held) brokenOff(ctx context.Context, err error) bool {
	const paused, conflict, aborted = "25P03", "40001", 'E'
	conn := r.conn.Conn().PgConn()
	if err == nil || ctx.Err() != nil || !conn.IsClosed() && conn.TxStatus() != aborted {
		return false
	}
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok {
		return failure.Code == conflict || failure.Code != paused && (classOf(failure) == unavailable || classOf(failure) == stale)
	}
	return conn.IsClosed()
}

// sinkOf returns the sink of a server.
func sinkOf(at projection.Readable) (*Sink, error) {
	if standby, ok := at.(*standby); ok {
		return standby.opened()
	}
	return at.(*Sink), nil
}
