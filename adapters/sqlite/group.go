package sqlite

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// An fsync costs more than most transactions. So the writers of a file share them:
// whoever gets the turn to write takes along everybody who waits for it, each in a
// savepoint, and one COMMIT makes them all durable. While five views follow the log, an
// append and five commits of rows are about two transactions instead of six.

// share is one writer's part of a transaction.
type share struct {
	ctx context.Context
	do  func(*transaction) error

	done     chan struct{} // closed when err and panicked are set
	err      error
	panicked any // do's panic, for its own goroutine
}

func (s *share) answer(err error) {
	s.err = err
	close(s.done)
}

func (s *share) answered() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// group is the writers that wait for a transaction.
type group struct {
	mu      sync.Mutex
	waiting []*share
}

func (g *group) join(s *share) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, s)
}

// leave reports whether the share was still waiting: then nobody will do it.
func (g *group) leave(s *share) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := slices.Index(g.waiting, s)
	if n < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, n, n+1)
	return true
}

func (g *group) take() []*share {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := g.waiting
	g.waiting = nil
	return taken
}

// write runs do in a transaction that holds the file's write lock (BEGIN IMMEDIATE)
// and commits it, unless do fails. It returns do's error as it is, a [commitError] if
// the outcome is unknown, else an error that means nothing was written.
//
// Other writers of this file may be in the same transaction. None sees anything of
// that, except that do may run on another goroutine, and may run again after a first
// time was rolled back.
func (f *file) write(ctx context.Context, do func(*transaction) error) error {
	if err := f.accepting(ctx); err != nil {
		return err
	}
	s := &share{ctx: ctx, do: do, done: make(chan struct{})}
	f.group.join(s)
	select {
	case <-s.done:
	case f.turn <- struct{}{}:
		f.writeWaiting(s)
		f.turn.release()
		<-s.done
	case <-ctx.Done():
		if f.group.leave(s) {
			return ctx.Err()
		}
		<-s.done
	}
	if s.panicked != nil {
		panic(s.panicked)
	}
	return s.err
}

// writeWaiting does and answers the shares that wait, the first one among them unless
// somebody else has just done it. Its caller holds the turn.
//
// BEGIN comes first: while it waits for another process, more shares may join and those
// whose context ends may leave.
func (f *file) writeWaiting(first *share) {
	if first.answered() {
		return
	}
	tx, err := f.begin(first.ctx, f.writer)
	switch {
	case err == nil:
		f.writeTogether(tx, f.group.take())
		f.trimWAL()
	case first.ctx.Err() != nil: // which is no concern of the others
		f.group.leave(first)
		first.answer(err)
	default:
		for _, s := range f.group.take() {
			s.answer(err)
		}
	}
}

// writeTogether does the shares in one transaction. If that is lost on the way, they
// are done one by one: some errors of SQLite, such as a full disk, roll all of it back,
// and only in this way can we tell whose they are.
func (f *file) writeTogether(tx *transaction, shares []*share) {
	if len(shares) == 1 {
		shares[0].answer(f.writeAlone(tx, shares[0]))
		return
	}
	if err := f.tryTogether(tx, shares); err == nil {
		for _, s := range shares {
			close(s.done)
		}
		return
	}
	for _, s := range shares {
		tx, err := f.begin(s.ctx, f.writer)
		if err == nil {
			err = f.writeAlone(tx, s)
		}
		s.answer(err)
	}
}

// tryTogether sets the shares' errors. Its own error means that nothing was written.
func (f *file) tryTogether(tx *transaction, shares []*share) error {
	defer tx.Rollback() // without effect once committed
	f.guard.close()
	defer f.guard.open()
	succeeded := 0
	for _, s := range shares {
		if err := f.save(tx, s); err != nil {
			return err
		}
		if s.err == nil {
			succeeded++
		}
	}
	if succeeded == 0 {
		return nil
	}
	err := f.end(tx)
	for _, s := range shares {
		if s.err == nil {
			s.err = err
		}
	}
	return nil
}

// save does one share in a savepoint. Its error means that the transaction is lost: the
// savepoint went with it.
func (f *file) save(tx *transaction, s *share) error {
	ctx := context.Background() // one writer who goes away must not end the others
	if err := tx.exec(ctx, savepointSQL); err != nil {
		return err
	}
	s.err = f.run(tx, s)
	if s.err != nil {
		if err := tx.exec(ctx, rollBackToSQL); err != nil {
			return err
		}
	}
	return tx.exec(ctx, releaseSQL)
}

// writeAlone does one share in a transaction of its own.
func (f *file) writeAlone(tx *transaction, s *share) error {
	defer tx.Rollback() // without effect once committed
	f.guard.close()
	defer f.guard.open()
	if err := f.run(tx, s); err != nil {
		return err
	}
	if err := f.guard.check(); err != nil {
		return err
	}
	return f.end(tx)
}

// end commits. Its error means that nothing was written, unless it is a [commitError].
func (f *file) end(tx *transaction) error {
	if err := f.inPlace(); err != nil {
		return err
	}
	f.guard.open()
	if err := f.commit(tx.Tx); err != nil {
		return &commitError{f.explain(err)}
	}
	return nil
}

var errPanicked = errors.New("panicked")

// run calls the share's function and keeps its panic for the goroutine it belongs to.
func (f *file) run(tx *transaction, s *share) (err error) {
	defer func() {
		if s.panicked = recover(); s.panicked != nil {
			err = errPanicked
		}
	}()
	if err := s.ctx.Err(); err != nil {
		return err // it ended while others had their turn
	}
	return f.explain(s.do(tx))
}
