package eventstore

import (
	"context"
	"time"
)

// CommandPruner is an optional power of a store: to forget command ids. It is for operators.
type CommandPruner interface {
	// PruneCommands forgets the command ids that were remembered before a time, in whole
	// microseconds, and returns how many. For these it gives up the promise of [Appender]: a
	// command that is sent again under a forgotten id is a new one, and is carried out again.
	// Events, versions and receipts stay as they are.
	//
	// Times are information, never order, because clocks are set back. So the ids are counted in
	// the order of the log, each at the position that its receipt tells: forgotten are those
	// before the first one that was recorded at the time or later. Ids at one position, as those
	// of appends of no events, are kept or forgotten together.
	//
	// Appends go on meanwhile: each finds its id remembered or forgotten, and what is appended
	// under a forgotten id is remembered anew. The implementation must not make them wait for
	// more than a part of its work, so it may do it part by part. What is forgotten stays
	// forgotten if it fails between two of them: the number tells how many that were at least, and
	// another call goes on. Errors are those of a write to the store, [ErrUnsupported] and the error of ctx
	// among them.
	PruneCommands(ctx context.Context, before time.Time) (pruned int64, err error)
}
