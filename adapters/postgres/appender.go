package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
	"github.com/leftfold/leftfold/projection"
)

// appender makes the batches of one store durable, over one connection. At most two are
// under way at a time, and the server carries them out in turn.
type appender struct {
	db       *database
	queue    *groupcommit.Queue
	identity eventstore.Identity
	appended func(head eventstore.Position) // told when the log has grown

	// writer and session name where a batch comes from, so that it can be forbidden if its
	// answer is lost; see settle.go.
	writer  eventstore.EventID
	session int64

	inline *inlineSet
	users  [][]byte // the settings that inline handlers are used to; nil: those of the session

	patience patience
	overlap  int // how many events make a batch that is sent while another is under way; 0: none does

	conn       *pgxpool.Conn                // nil: not connected
	all, one   *pgconn.StatementDescription // for any batch, and for one plain event; nil: not to be used
	pipeline   *pgconn.Pipeline             // while batches are under way
	flights    []flight                     // in the order in which they were sent
	parameters parameters
	head       eventstore.Position // the newest that we know of
	fences     int64               // the store's, as it was when we last heard; see leftfold.settle
	contended  bool                // the last batch had to wait for another writer
}

// patience is how long the appender waits for the server.
type patience struct {
	batch     time.Duration // for the answer to one batch
	reconnect time.Duration // for a connection, before those who wait are told
	settle    time.Duration // for what became of a batch whose answer was lost
}

// flight is a batch that was sent and whose answer has not been read.
type flight struct {
	appends []*groupcommit.Pending
	before  eventstore.Token // the head that was known when it was sent
	one     bool             // by leftfold.append_one
}

// run appends what is queued until the queue is closed and empty.
func (a *appender) run() {
	ctx := context.Background() // a caller who goes away must not end the batch of the others
	defer a.disconnect()
	for a.queue.Wait() {
		if down := a.connect(ctx, a.patience.reconnect); down != nil { // while it tried, callers could still leave the queue
			answerAll(a.queue.Cut(nil, newBatch().admit), down)
			continue
		}
		a.drain(ctx)
	}
}

// drain appends until nobody waits, or the connection is lost and what was under way on it is
// settled.
func (a *appender) drain(ctx context.Context) {
	for a.connected() {
		appends := a.queue.Cut(a.share, newBatch().admit)
		if len(appends) == 0 && len(a.flights) == 0 {
			return
		}
		if len(appends) > 0 && a.inline != nil {
			a.again(ctx, appends)
			continue
		}
		if len(appends) > 0 {
			a.send(appends, isPlain(appends, a.identity))
		}
		if len(appends) == 0 || !a.connected() { // one that could not even be written is read too
			a.land(ctx)
		}
	}
}

// share says how many of the events that wait are sent now. Many go in two halves, and from
// then on the server works on one half while the callers of the other are answered and come
// back. Few are not worth a flush of their own, so they wait for the batch under way. Where
// other writers wait for the lock, the server has work anyway, and halves would take it from
// them twice as often.
func (a *appender) share(waiting int) int {
	overlaps := a.overlap > 0 && !a.contended
	switch {
	case len(a.flights) == 0 && overlaps && waiting >= 4*a.overlap: // halves come back in parts
		return waiting / 2
	case len(a.flights) == 0:
		return waiting
	case len(a.flights) == 1 && overlaps && waiting >= a.overlap:
		return waiting
	default:
		return 0
	}
}

func answerAll(appends []*groupcommit.Pending, err error) {
	for _, p := range appends {
		p.Answer(err)
	}
}

// land reads the answer of the batch that was sent first, and answers everybody in it.
func (a *appender) land(ctx context.Context) {
	first := a.flights[0]
	got, err := a.receive()
	switch {
	case err == nil && !got.declined:
		a.made(got, first.appends)
	case err != nil && a.lost(err):
		// All that were under way are settled before anything is made again.
		lost := append([]flight{first}, a.flights...)
		a.disconnect()
		for n := range lost {
			var unknown error
			if lost[n].appends, unknown = a.settle(ctx, lost[n], err); unknown != nil {
				answerAll(lost[n].appends, unknown)
				lost[n].appends = nil
			}
		}
		for _, f := range lost {
			a.again(ctx, f.appends)
		}
	default: // whatever is under way behind it is read before anything else is sent
		for len(a.flights) > 0 {
			a.land(ctx)
		}
		if err == nil {
			a.again(ctx, first.appends)
			return
		}
		a.leave(err)
		a.conclude(ctx, first.appends, err)
	}
}

// again makes appends that were not made because their connection was lost, or because they
// are not plain.
func (a *appender) again(ctx context.Context, appends []*groupcommit.Pending) {
	if len(appends) > 0 {
		left, err := a.attempt(ctx, appends)
		a.conclude(ctx, left, err)
	}
}

// conclude answers those that an attempt has left with its error, unless one of several may be
// guilty of it: then they are made one by one, so that only that one fails.
func (a *appender) conclude(ctx context.Context, left []*groupcommit.Pending, err error) {
	err = mismatch(a.inline, err)
	if len(left) < 2 || !hasOneGuilty(err) {
		answerAll(left, err)
		return
	}
	for n := range left {
		one, err := a.attempt(ctx, left[n:n+1])
		answerAll(one, err)
		if err != nil && !hasOneGuilty(err) { // the server's trouble, not theirs
			answerAll(left[n+1:], err)
			return
		}
	}
}

// errLostAgain: a batch whose connection was lost each time that it was sent, as by a server
// that runs out of memory over one of its appends. It has not been made.
var errLostAgain = fmt.Errorf("%w: the append was sent %d times and the connection was lost each time; it was not made, and may be too much for the server", ErrUnavailable, lostTries)

// attempt makes the batch durable in one transaction, and answers those whose outcome it
// knows. It returns the others: they have not been appended, unless the error is
// [eventstore.ErrOutcomeUnknown]. After a lost answer these may be a part of the batch; the
// error is not for the rest of it, which is in the log.
func (a *appender) attempt(ctx context.Context, appends []*groupcommit.Pending) (left []*groupcommit.Pending, err error) {
	var last error
	for range lostTries {
		if err := a.connect(ctx, a.patience.reconnect); err != nil {
			return appends, err
		}
		sent := flight{appends: appends, before: eventstore.Token{Identity: a.identity, Position: a.head}}
		got, err := a.exchange(ctx, &sent)
		switch {
		case err == nil && len(sent.appends) > 0:
			a.made(got, sent.appends)
			return nil, nil
		case err == nil:
			return nil, nil
		case !a.lost(err):
			a.leave(err)
			return sent.appends, err
		}
		a.disconnect()
		last = err
		if appends, err = a.settle(ctx, sent, err); err != nil || len(appends) == 0 {
			return appends, err
		}
	}
	return appends, fmt.Errorf("%w (%v)", errLostAgain, last) // its text only: it says nothing about the outcome
}

// lost reports whether an error leaves open what became of a batch.
func (a *appender) lost(err error) bool {
	_, known := errors.AsType[*undone](err)
	return !a.connected() || !isAnswer(err) && !known
}

// leave goes away from a server that cannot append, such as one that is shutting down, and
// from a session that is out of date.
func (a *appender) leave(err error) {
	if needsAnotherServer(err) {
		a.disconnect()
	}
}

// made answers a batch that is in the log.
func (a *appender) made(got answer, appends []*groupcommit.Pending) {
	a.identity.Incarnation, a.fences, a.contended = got.incarnation, got.fences, got.waited
	a.done(got.outcomes(a.identity.Store, appends))
	waiting := a.queue.Waiting()
	answerAll(appends, nil)
	a.letBack(waiting + len(appends))
}

// letBack waits a moment for the callers of a batch that was just answered, until as many wait
// as before. Most are back at once, and one flush serves them all then. Who misses it would
// find itself in the other one of two groups, each of which waits for the other's flush, from
// then on. A lone caller is not waited for.
func (a *appender) letBack(callers int) {
	if callers < 2 {
		return
	}
	for start := time.Now(); a.queue.Waiting() < callers && time.Since(start) < comeBack; {
		runtime.Gosched()
	}
}

// isAnswer reports whether the server itself has refused: then nothing was appended. The states
// of a connection or a server in trouble may be a proxy's words, or follow a commit.
func isAnswer(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && !isTrouble(failure)
}

func isTrouble(failure *pgconn.PgError) bool {
	switch class := failure.Code[:min(2, len(failure.Code))]; class {
	case "08", "58", "XX": // connection, system, internal
		return true
	default:
		return strings.HasPrefix(failure.Code, "57P0")
	}
}

func (a *appender) done(head eventstore.Position) {
	a.head = head
	a.appended(head)
}

// send sends a batch, by leftfold.append_one if it can be made that way. If that fails,
// [appender.receive] tells.
func (a *appender) send(appends []*groupcommit.Pending, one bool) {
	conn := a.conn.Conn().PgConn()
	if len(a.flights) == 0 {
		a.pipeline = conn.StartPipeline(context.Background())
	}
	one = one && a.one != nil
	a.flights = append(a.flights, flight{appends, eventstore.Token{Identity: a.identity, Position: a.head}, one})
	if one {
		values := oneValues(a.fences, a.head, appends[0].Request.Writes[0])
		a.pipeline.SendQueryStatement(a.one, values, binaryFormat, binaryFormat)
	} else {
		a.parameters.encode(appends, a.identity.Store)
		values := a.parameters.values(a.writer[:], a.session, a.fences, a.head, 0)
		if a.db.pooled {
			a.pipeline.SendQueryParams(a.db.sql.appendIn.text, values, nil, binaryFormat, binaryFormat)
		} else {
			a.pipeline.SendQueryStatement(a.all, values, binaryFormat, binaryFormat)
		}
	}
	// The deadline is the connection's, not a context's: a watched context would cost a lone
	// writer a twentieth of its rate.
	_ = conn.Conn().SetDeadline(time.Now().Add(a.patience.batch)) // where it fails, all else does
	_ = a.pipeline.Sync()
}

// receive reads the answer of the batch that was sent first, which is under way no longer. It
// returns nil once the server is ready for the next query: then the transaction has been
// committed. An error with which the connection is closed tells nothing about the
// transaction, whatever it says: even "not sent" has been seen for a COMMIT that was executed.
func (a *appender) receive() (got answer, err error) {
	scan := got.scan
	if first := a.flights[0]; first.one {
		scan = func(row [][]byte) error { return got.scanOne(row, first) }
		got.fences = a.fences
	}
	a.flights = a.flights[1:]
	if len(a.flights) == 0 {
		defer func() { err = errors.Join(err, a.rest()) }()
	}
	rows := 0
	var refused error
	for {
		result, err := a.pipeline.GetResults()
		if reader, ok := result.(*pgconn.ResultReader); ok {
			for reader.NextRow() {
				rows++
				refused = errors.Join(refused, scanned(scan, reader.Values()))
			}
			_, err = reader.Close()
		}
		_, ready := result.(*pgconn.PipelineSync)
		switch {
		case ready && refused == nil && rows != 1:
			return got, errNoRow
		case ready && refused == nil:
			return got, a.db.session(a.conn.Conn()).replicated()
		case ready:
			return got, refused
		case err == nil && result == nil:
			return got, errors.Join(errNoAnswer, refused)
		case err != nil && !isAnswer(err):
			return got, errors.Join(explain(err), refused)
		case err != nil:
			refused = errors.Join(refused, explain(err))
		}
	}
}

var errNoAnswer = fmt.Errorf("%w: the connection ended in the middle of an answer", ErrUnavailable)

// rest leaves the connection as others use it. What is wrong with it shows at its next use.
func (a *appender) rest() error {
	conn := a.conn.Conn()
	_ = a.pipeline.Close()
	if conn.IsClosed() {
		return nil
	}
	return conn.PgConn().Conn().SetDeadline(time.Time{})
}

func (a *appender) connected() bool { return a.conn != nil && !a.conn.Conn().IsClosed() }

// connect makes sure that there is a connection, and tries for so long.
func (a *appender) connect(ctx context.Context, patience time.Duration) error {
	if a.connected() {
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
	found, err := s.adopt(ctx, a.db.sql)
	if err != nil {
		return err
	}
	if there := found.head.Store; a.identity.Store != there {
		return fmt.Errorf("%w: it is store %s there, %s here", ErrOtherDatabase, there, a.identity.Store)
	}
	if err := a.prepare(ctx, s, found.readOnly); err != nil {
		return err
	}
	a.conn, a.identity, a.head, a.fences = conn, found.head.Identity, found.head.Position, found.fences
	return nil
}

// prepare makes a session of the server ready to append. One that begins read-only, as on a
// standby, has not adopted the store, and leftfold.append_one does not look whether it should.
func (a *appender) prepare(ctx context.Context, s session, readOnly bool) (err error) {
	a.all, a.one = nil, nil
	a.users = nil
	if s.pooled {
		return nil
	}
	if a.inline.Handles() {
		if err := s.one(ctx, a.db.sql.usersSettings, a.keepSettings); err != nil {
			return err
		}
	}
	if err := s.one(ctx, a.db.sql.settings, func([][]byte) error { return nil }); err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	if a.all, err = s.conn.Prepare(ctx, a.db.sql.append.name, a.db.sql.append.text); err != nil || readOnly || a.inline != nil {
		return explain(err)
	}
	a.one, err = s.conn.Prepare(ctx, a.db.sql.appendOne.name, a.db.sql.appendOne.text)
	return explain(err)
}

// keepSettings copies a row of settings.
func (a *appender) keepSettings(row [][]byte) error {
	for _, value := range row {
		a.users = append(a.users, append([]byte{}, value...))
	}
	return nil
}

func (a *appender) disconnect() {
	a.flights = nil
	if a.conn != nil {
		if a.pipeline != nil {
			_ = a.pipeline.Close()
		}
		a.conn.Release()
		a.conn = nil
	}
}

// hasOneGuilty tells failures that one append of a batch may be guilty of from those of the
// server.
func hasOneGuilty(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	_, row := errors.AsType[*projection.InlineError](err)
	return ok && classOf(failure) == deterministic || row || errors.Is(err, errLostAgain)
}
