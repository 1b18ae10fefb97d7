package sqlite

import (
	"errors"
	"sync/atomic"

	driver "modernc.org/sqlite"
)

// guard keeps a transaction whole while somebody else's function runs in it.
//
// SQLite ends a transaction by itself on some errors, and a handler has the *sql.Tx to
// end it by mistake. From then on each statement is a transaction of its own: what a
// handler that overlooked the error writes next would be durable without its
// checkpoint, and written again on the next try. In a shared transaction worse would
// happen: the other writers' part would be committed, taken for lost, and written
// twice. So SQLite's hooks refuse every commit but ours and tell of every rollback.
type guard struct {
	shut atomic.Bool // no commit is let through
	lost atomic.Bool // the transaction has been rolled back
}

// errTransactionEnded means that nothing was written.
var errTransactionEnded = errors.New("sqlite: the transaction ended before its commit: a statement failed in a way that rolls all of it back, or the function that writes in it tried to end it itself")

func (g *guard) watch(hooks driver.HookRegisterer) {
	hooks.RegisterCommitHook(func() int32 {
		if g.shut.Load() {
			return 1 // makes it a rollback
		}
		return 0
	})
	hooks.RegisterRollbackHook(func() { g.lost.Store(true) })
}

// close begins to guard the transaction that has just begun; open lets it commit.
func (g *guard) close() {
	g.lost.Store(false)
	g.shut.Store(true)
}

func (g *guard) open() { g.shut.Store(false) }

// check tells whether the transaction is still there.
func (g *guard) check() error {
	if g.lost.Load() {
		return errTransactionEnded
	}
	return nil
}
