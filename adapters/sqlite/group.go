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
	if err := ctx.Err(); err != nil {
		return err
	}
	s := &share{ctx: ctx, do: do, done: make(chan struct{})}
	f.group.join(s)
	select {
	case <-s.done:
	case f.turn <- struct{}{}:
		f.writeTogether(f.group.take())
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

// writeTogether does the shares in one transaction and answers them. Its caller holds
// the turn.
func (f *file) writeTogether(shares []*share) {
	if len(shares) > 1 && f.tryTogether(shares) {
		return
	}
	for _, s := range shares {
		s.err = f.writeAlone(s)
		close(s.done)
	}
}

// tryTogether reports false, with nothing written and nobody answered, if the
// transaction came to nothing: some errors of SQLite, such as a full disk, roll all of
// it back, and only by going one by one can we tell whose they are.
func (f *file) tryTogether(shares []*share) bool {
	ctx := context.Background() // one writer who goes away must not end the others
	tx, err := f.begin(ctx, f.writer)
	if err != nil {
		return false
	}
	defer tx.Rollback() //nolint:errcheck // without effect once committed
	succeeded := 0
	for _, s := range shares {
		if err := f.save(tx, s); err != nil {
			return false
		}
		if s.err == nil {
			succeeded++
		}
	}
	if succeeded > 0 {
		err = f.commit(tx.Tx)
	}
	for _, s := range shares {
		if err != nil && s.err == nil {
			s.err = &commitError{f.explain(err)}
		}
		close(s.done)
	}
	f.trimWAL(ctx)
	return true
}

// save does one share in a savepoint. Its error means that the transaction is lost.
func (f *file) save(tx *transaction, s *share) error {
	if _, err := tx.ExecContext(context.Background(), "SAVEPOINT share"); err != nil {
		return err
	}
	s.err = f.run(tx, s)
	if s.err == nil {
		_, err := tx.ExecContext(context.Background(), "RELEASE share")
		return err
	}
	_, err := tx.ExecContext(context.Background(), "ROLLBACK TO share; RELEASE share")
	return err
}

// writeAlone does one share in a transaction of its own.
func (f *file) writeAlone(s *share) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	tx, err := f.begin(s.ctx, f.writer)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // without effect once committed
	if err := f.run(tx, s); err != nil {
		return err
	}
	if err := f.commit(tx.Tx); err != nil {
		return &commitError{f.explain(err)}
	}
	f.trimWAL(s.ctx)
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
	return f.explain(s.do(tx))
}
