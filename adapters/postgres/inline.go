package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
	"github.com/leftfold/leftfold/projection"
)

// A store that applies projections in its appends makes a batch in three round trips: BEGIN
// and leftfold.append; the rows that the events touch; the rows as they are then, with the
// checkpoints, and COMMIT. Handlers take one more, and one for each of their statements. The
// lock of the store is held from the first to the last, so there is one batch at a time.
//
// Everything up to the COMMIT is known not to have happened if it fails. What becomes of a
// COMMIT whose answer is lost is found out as for every other batch, see settle.go.

// inlineSet is what a store applies in its appends.
type inlineSet = projection.InlineSet[pgx.Tx]

// undone is an error after which the server has said that nothing was written.
type undone struct{ error }

func (e *undone) Unwrap() error { return e.error }

// exchange makes the batch in one transaction. It answers those whom an inline projection
// refuses, and takes them out of the flight.
func (a *appender) exchange(ctx context.Context, f *flight) (answer, error) {
	if a.inline == nil {
		a.send(f.appends, false)
		return a.receive()
	}
	for {
		got, err := a.makeInline(ctx, f.appends)
		refused, ok := errors.AsType[*projection.InlineRefusalError](err)
		if _, nothing := errors.AsType[*undone](err); !ok || !nothing {
			return got, err
		}
		var left []*groupcommit.Pending
		for n, p := range f.appends {
			if err := refused.Appends[n]; err != nil {
				p.Answer(err)
			} else {
				left = append(left, p)
			}
		}
		if f.appends = left; len(left) == 0 {
			return got, nil
		}
	}
}

// makeInline makes the batch and what the inline projections make of it.
func (a *appender) makeInline(ctx context.Context, appends []*groupcommit.Pending) (got answer, err error) {
	conn := a.conn.Conn()
	_ = conn.PgConn().Conn().SetDeadline(time.Now().Add(a.patience.batch)) // as in send
	t := &inlineTx{set: a.inline, db: a.db, on: a.db.session(conn), ends: true, users: a.users}
	defer func() {
		if err != nil && !t.ended {
			err = t.rollBack(ctx, err)
		}
		if !conn.IsClosed() {
			err = errors.Join(err, conn.PgConn().Conn().SetDeadline(time.Time{}))
		}
	}()
	a.parameters.encode(appends, a.identity.Store)
	values := a.parameters.values(a.writer[:], a.session, a.fences, a.head, a.inline.Number())
	if err := t.begin(ctx, call{statement: a.db.sql.appendInline(a.db.pooled), params: values, scan: got.scan}); err != nil {
		return got, err
	}
	t.begun = true
	if err := t.apply(ctx, a.identity.Store, &got, appends); err != nil {
		return got, err
	}
	if err := t.commit(ctx); err != nil {
		return got, err
	}
	return got, t.on.replicated()
}

// inlineTx is the transaction of a batch, or of a switch.
type inlineTx struct {
	set   *inlineSet
	db    *database
	on    session
	tx    pgx.Tx      // for handlers; nil: there are none
	moves *inlineMove // nil: a switch sees to the checkpoints by itself
	ends  bool        // it is ours to commit
	begun bool        // events are appended in it
	ended bool        // COMMIT was sent
	eased bool        // the settings are the users'
	users [][]byte    // the settings that handlers are used to; nil: those of the session
}

// inlineMove is the way of the checkpoints, from the head before a batch to the one after it.
type inlineMove struct {
	to     eventstore.Token
	anchor eventstore.EventID
	before eventstore.Position
}

// begin begins the transaction and appends.
func (t *inlineTx) begin(ctx context.Context, appends call) (err error) {
	bound := call{statement: t.db.sql.boundPauses, scan: noColumns}
	if !t.set.Handles() {
		return t.on.together(ctx, call{statement: t.db.sql.beginInline}, bound, appends)
	}
	if t.tx, err = t.on.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}); err != nil {
		return explain(err)
	}
	return t.on.together(ctx, bound, appends)
}

// apply applies the events of those that were appended.
func (t *inlineTx) apply(ctx context.Context, store eventstore.StoreID, got *answer, appends []*groupcommit.Pending) error {
	if err := got.fits(appends); err != nil {
		return err
	}
	events, last := got.recorded(appends)
	if last.Position == got.head {
		return nil // nothing was
	}
	identity := eventstore.Identity{Store: store, Incarnation: got.incarnation}
	t.moves = &inlineMove{eventstore.Token{Identity: identity, Position: last.Position}, last.EventID, got.head}
	return t.set.Apply(ctx, t, events)
}

// recorded returns the events of each append as the log has them, none for one that was not
// made, and the last of all.
func (a *answer) recorded(appends []*groupcommit.Pending) (events [][]eventstore.Recorded, last eventstore.Anchor) {
	last.Position = a.head
	events = make([][]eventstore.Recorded, len(appends))
	versions := a.versions
	for n, p := range appends {
		before := versions[:len(p.Request.Writes)]
		versions = versions[len(before):]
		if a.skipped[int64(n+1)] {
			continue
		}
		for w, write := range p.Request.Writes {
			for nth, e := range write.Events {
				last.Position++
				last.EventID = e.ID
				version := eventstore.Version(before[w]) + eventstore.Version(nth+1)
				events[n] = append(events[n], asRead(e, write.Stream, version, last.Position, a.now))
			}
		}
	}
	return events, last
}

// asRead returns an event as a read of the log would.
func asRead(e eventstore.EventData, stream eventstore.StreamID, version eventstore.Version, at eventstore.Position, now time.Time) eventstore.Recorded {
	e.Data = notNull(e.Data)
	e.Metadata = noneIsNull(e.Metadata)
	if len(e.Tags) == 0 {
		e.Tags = nil
	}
	return eventstore.Recorded{EventData: e, Stream: stream, Version: version, Position: at, RecordedAt: now}
}

// Load implements [projection.InlineTx].
func (t *inlineTx) Load(ctx context.Context, loads []projection.InlineLoad) ([][]projection.Row, error) {
	all := make([][]projection.Row, len(loads))
	calls := make([]call, len(loads))
	for n, l := range loads {
		text, types := t.db.schema.loadSQL(l.Model, 1), typesOfColumns(l.Model)
		calls[n] = call{statement: statement{text, text}, params: [][]byte{texts(l.Keys)}, scan: func(row [][]byte) error {
			all[n] = append(all[n], readRow(types, row))
			return nil
		}}
	}
	return all, t.on.together(ctx, calls...)
}

// Write implements [projection.InlineTx].
func (t *inlineTx) Write(ctx context.Context, writes []projection.InlineWrite, last bool) error {
	var calls []call
	var of []projection.Generation
	for _, w := range writes {
		sets, err := newChangeSets(w.Model, w.Changes)
		if err != nil {
			return err
		}
		for n, set := range sets {
			calls, of = append(calls, t.write(w.Model, set, n == 0)), append(of, w.Model.Generation)
		}
	}
	if last && t.ends {
		calls, t.ended = append(calls, commitCall), true
	}
	err := t.on.together(ctx, calls...)
	if failed, ok := errors.AsType[*callError](err); ok && isAnswer(err) {
		t.ended = false // the server has come no further than to the one that failed
		if failed.nth < len(of) && mayBeGuilty(err) {
			err = &projection.InlineError{Generation: of[failed.nth], Err: err}
		}
	}
	return err
}

// write returns the call that writes rows, and with the first of a read model moves its
// checkpoint.
func (t *inlineTx) write(model projection.Model, set *changeSet, first bool) call {
	moves := first && t.moves != nil
	text, params := t.db.sql.writeInline(t.db.schema, model, moves, set.rows+len(set.gone) > 0), [][]byte{}
	if moves {
		m := t.moves
		params = append(params, []byte(model.Name), bigint(int64(model.Version)), m.to.Store[:],
			int4(m.to.Incarnation), position(m.to.Position), m.anchor[:], position(m.before))
	}
	if set.rows+len(set.gone) > 0 {
		params = append(params, set.params()...)
	}
	return call{statement: statement{text, text}, params: params, scan: noColumns}
}

// insideInline marks the context of a handler that runs in an append.
type insideInline struct{ *database }

// Handle implements [projection.InlineTx].
func (t *inlineTx) Handle(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) error) error {
	if t.users != nil && !t.eased {
		t.eased = true
		if err := t.on.together(ctx, call{statement: t.db.sql.useSettings, params: t.users, scan: noColumns}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, insideInline{t.db}, true), batchPatience)
	defer cancel()
	if err := do(ctx, handlerTx{t.tx}); err != nil {
		return err
	}
	return checkHandled(t.tx)
}

var errNotCommitted = errors.New("postgres: the transaction could not be committed")

// commitCall makes sure that a commit is none that the server has turned into a rollback.
var commitCall = call{statement: statement{"leftfold/commit", "COMMIT"}, done: func(tag pgconn.CommandTag) error {
	if tag.String() != "COMMIT" {
		return errNotCommitted
	}
	return nil
}}

// commit commits unless Write has done it.
func (t *inlineTx) commit(ctx context.Context) error {
	if t.ended {
		return nil
	}
	t.ended = true
	return t.on.together(ctx, commitCall)
}

// rollBack ends the transaction after an error, which is known to be all that came of it if
// the server says so.
func (t *inlineTx) rollBack(ctx context.Context, err error) error {
	if t.on.conn.IsClosed() {
		return err
	}
	over := t.on.conn.PgConn().TxStatus() == 'I'
	if over && t.begun {
		return err // a handler has ended it, and perhaps committed
	}
	if !over {
		if failure := t.on.together(ctx, call{statement: statement{"leftfold/rollback", "ROLLBACK"}}); failure != nil {
			return err
		}
	}
	return &undone{err}
}

// mayBeGuilty reports whether one append of a batch may have caused an error of a statement
// that writes rows.
func mayBeGuilty(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (classOf(failure) == deterministic || classOf(failure) == unknownClass)
}

// mismatch names what differs if an append was refused because of what is applied inline.
func mismatch(set *inlineSet, err error) error {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && failure.Code == stateInline && failure.Detail == "none":
		return set.Mismatch(nil)
	case ok && failure.Code == stateInline:
		return set.Mismatch(strings.Split(failure.Detail, "\n"))
	case ok && failure.Code == stateBehind:
		return &projection.InlineMismatchError{Behind: []string{failure.Detail}}
	default:
		return err
	}
}

// appendInline appends in the caller's transaction, in a savepoint: who is refused by a
// projection can go on.
func (t *txStore) appendInline(ctx context.Context, one []*groupcommit.Pending, made call, got *answer) error {
	err := pgx.BeginFunc(ctx, t.tx, func(tx pgx.Tx) error {
		if err := t.on.together(ctx, made); err != nil {
			return err
		}
		in := &inlineTx{set: t.store.appender.inline, db: t.store.db, on: t.on, tx: tx}
		return in.apply(ctx, t.store.identity.Store, got, one)
	})
	if refused, ok := errors.AsType[*projection.InlineRefusalError](err); ok {
		err = refused.Appends[0]
	}
	return err
}

var errInsideInline = fmt.Errorf("%w: an inline handler runs inside of an append; write what follows from an event as rows, or append by a subscription", ErrOwnTransaction)
