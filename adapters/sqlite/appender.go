package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// appender writes the batches of one store, one after the other.
type appender struct {
	file     *file
	now      func() time.Time
	appended func() // called when the log has grown

	// writer and batch name a transaction, so that it can be found again if the answer
	// to its COMMIT is lost; see settle.go.
	writer []byte
	batch  int64
}

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
	err := a.attempt(ctx, batch)
	if err == nil || !shouldSplit(err, len(batch)) {
		answer(batch, err)
		return
	}
	for n := range batch { // one by one, so that only the guilty fails
		one := batch[n : n+1]
		answer(one, a.attempt(ctx, one))
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
	case errors.Is(err, eventstore.ErrOutcomeUnknown), errors.Is(err, ErrBusy):
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
	log, err := openLog(ctx, tx, a.now())
	if err != nil {
		return err
	}
	for _, p := range batch {
		receipt, err := log.append(ctx, p.Request)
		refused, ok := errors.AsType[refusal](err)
		if err != nil && !ok {
			return err
		}
		p.Receipt, p.Err = receipt, refused.error
	}
	if !log.written {
		return errNothingWritten
	}
	return a.mark(ctx, tx)
}
