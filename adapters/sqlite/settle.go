package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// When COMMIT fails, the batch may be durable or not: the disk may have failed after
// the last byte. Neither guess is safe. Told "failed", a caller appends again and has
// it twice; told "done", it may have lost everything. So each batch writes its number
// into the row of its writer, in its own transaction, and after a failed COMMIT that
// row tells.

// errNotCommitted says that a COMMIT failed and the batch is certainly not in the log.
var errNotCommitted = errors.New("not committed")

// mark makes the batch recognisable. The first batch of a writer also removes the rows
// of writers long gone.
func (a *appender) mark(ctx context.Context, tx *transaction) error {
	a.batch++
	if a.batch == 1 {
		if err := tx.exec(ctx, pruneWritersSQL); err != nil {
			return err
		}
	}
	return tx.exec(ctx, markBatchSQL, a.writer, a.batch)
}

// settle finds out what became of the last batch: nil if it is committed,
// [errNotCommitted] if it is not, else [eventstore.ErrOutcomeUnknown].
func (a *appender) settle(ctx context.Context, lost *commitError) (err error) {
	batch := a.batch
	for range settleAttempts {
		err = a.file.write(ctx, func(tx *transaction) error { return a.look(ctx, tx, batch, lost) })
		switch {
		case errors.Is(err, errCommitted):
			return nil
		case err == nil:
			return fmt.Errorf("%w: %w", errNotCommitted, lost)
		}
	}
	// Their texts only: as a cause, a busy file would say that nothing was appended.
	return fmt.Errorf("%w: %v; and then: %v", eventstore.ErrOutcomeUnknown, lost, err)
}

var errCommitted = errors.New("committed")

// look runs in a write transaction, which waits until no other is under way. To find
// the batch missing is not enough: a COMMIT whose fsync failed may have left all its
// pages in the write-ahead log, unseen until a crash, and recovery would bring them
// to life after we have said that they are not there. Committing a new number
// overwrites them.
//
// A full disk needs no new number, and would have no room for it: the page that makes a
// commit is written last, and a page that came before it, or itself, was refused.
func (a *appender) look(ctx context.Context, tx *transaction, batch int64, lost *commitError) error {
	var committed int64
	if _, err := tx.find(ctx, writerBatchSQL, []any{a.writer}, &committed); err != nil {
		return err
	}
	if committed == batch {
		return errCommitted
	}
	if errors.Is(lost, ErrDiskFull) {
		return nil
	}
	return a.mark(ctx, tx)
}
