package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
	"github.com/leftfold/leftfold/projection"
)

// appender writes the batches of one store, one after the other.
type appender struct {
	file     *file
	now      func() time.Time
	appended func() // called when the log has grown
	inline   *inlineSet

	// writer and batch name a transaction, so that it can be found again if the answer
	// to its COMMIT is lost; see settle.go.
	writer []byte
	batch  int64
}

// inlineSet is what a store applies in its appends.
type inlineSet = projection.InlineSet[*sql.Tx]

func newWriterID() []byte {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // documented to never fail
	return id
}

// run appends what is queued until the queue is closed and empty.
func (a *appender) run(q *groupcommit.Queue) {
	ctx := context.Background() // a caller who goes away must not end the batch of the others
	for q.Wait() {
		if batch := q.Cut(nil, nil); len(batch) > 0 {
			a.process(ctx, batch)
		}
	}
}

// process appends a batch and answers everybody in it.
func (a *appender) process(ctx context.Context, batch []*groupcommit.Pending) {
	batch, err := a.attemptInline(ctx, batch)
	if err == nil || !shouldSplit(err, len(batch)) {
		answer(batch, err)
		return
	}
	for n := range batch { // one by one, so that only the guilty fails
		one, err := a.attemptInline(ctx, batch[n:n+1])
		answer(one, err)
	}
}

// attemptInline answers those that an inline projection refuses, and attempts the others. It
// returns them, with the outcome.
func (a *appender) attemptInline(ctx context.Context, batch []*groupcommit.Pending) ([]*groupcommit.Pending, error) {
	for {
		err := a.attempt(ctx, batch)
		refused, ok := errors.AsType[*projection.InlineRefusalError](err)
		if !ok {
			return batch, err
		}
		var left []*groupcommit.Pending
		for n, p := range batch {
			if err := refused.Appends[n]; err != nil {
				p.Answer(err)
			} else {
				left = append(left, p)
			}
		}
		if batch = left; len(batch) == 0 {
			return nil, nil
		}
	}
}

func answer(batch []*groupcommit.Pending, err error) {
	for _, p := range batch {
		p.Answer(err)
	}
}

// shouldSplit tells failures of one append in the batch from failures of the file. A
// commit that did not happen is worth a second try even for a batch of one.
func shouldSplit(err error, batch int) bool {
	switch {
	case errors.Is(err, eventstore.ErrOutcomeUnknown), errors.Is(err, ErrBusy), errors.Is(err, projection.ErrInlineMismatch), errors.Is(err, eventstore.ErrImporting):
		return false
	case errors.Is(err, errNotCommitted):
		return true
	}
	return batch > 1
}

// errNothingWritten rolls back a transaction that needs no fsync: all of its appends
// were refused or are repeats.
var errNothingWritten = errors.New("nothing was written")

// attempt writes the batch in one transaction. Each append gets its receipt or its
// refusal; they hold if attempt returns nil, and else nothing was appended, unless the
// error is [eventstore.ErrOutcomeUnknown].
func (a *appender) attempt(ctx context.Context, batch []*groupcommit.Pending) error {
	err := a.file.write(ctx, func(tx *transaction) error { return a.write(ctx, tx, batch) })
	if errors.Is(err, errNothingWritten) {
		return nil
	}
	if lost, ok := errors.AsType[*commitError](err); ok {
		err = a.settle(ctx, lost)
	}
	if err == nil {
		a.appended()
	}
	return err
}

func (a *appender) write(ctx context.Context, tx *transaction, batch []*groupcommit.Pending) error {
	written, err := a.add(ctx, tx, batch)
	switch {
	case err != nil:
		return err
	case !written:
		return errNothingWritten
	}
	return a.mark(ctx, tx)
}

// add appends the batch in a transaction that has the write lock, ours or a caller's, with what the
// inline projections make of it. It reports whether anything was written.
func (a *appender) add(ctx context.Context, tx *transaction, batch []*groupcommit.Pending) (written bool, err error) {
	log, err := openLog(ctx, tx, a.now())
	if err != nil {
		return false, err
	}
	if err := a.checkInline(ctx, tx, log.inline); err != nil {
		return false, err
	}
	before := log.head
	log.collects = a.inline != nil
	appends := make([][]eventstore.Recorded, len(batch))
	for n, p := range batch {
		receipt, err := log.append(ctx, p.Request)
		refused, ok := errors.AsType[refusal](err)
		if err != nil && !ok {
			return false, err
		}
		p.Receipt, p.Err = receipt, refused.error
		appends[n], log.recorded = log.recorded, nil
	}
	return log.written, a.applyInline(ctx, log, before, appends)
}
