package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
	"github.com/leftfold/leftfold/projection"
)

// Options are the choices of [Open]. The zero value works.
type Options struct {
	// Limits of an append. Default: those of package eventstore.
	Limits eventstore.Limits
	// Readers is the most reads that run at the same time; others wait. Default: 8.
	Readers int
	// Now gives RecordedAt. Default: time.Now.
	Now func() time.Time
	// Inline are projections that appends apply in their own transactions, once
	// [Store.SwitchInline] has made them inline. Default: none.
	Inline projection.Inline[*sql.Tx]
}

// Store is an [eventstore.Store] in one file. It can also wake readers
// ([eventstore.Notifier]), delete streams ([eventstore.StreamDeleter]), forget command ids
// ([eventstore.CommandPruner]) and be exported and imported ([eventstore.Portable]). It is safe for concurrent use.
type Store struct {
	file     *file
	limits   eventstore.Limits
	queue    *groupcommit.Queue
	appender appender
	wakeups  wakeups
	sink     Sink
	drained  chan struct{} // closed when the appender has answered everybody
}

var (
	_ eventstore.Store         = (*Store)(nil)
	_ eventstore.Notifier      = (*Store)(nil)
	_ eventstore.StreamDeleter = (*Store)(nil)
	_ eventstore.CommandPruner = (*Store)(nil)
	_ eventstore.Portable      = (*Store)(nil)
	_ eventstore.Capable       = (*Store)(nil)
)

// Open opens the store in the file at the path and creates the file if there is none.
// Several stores, of this or other processes, may be open on one file.
//
// Errors, before anything is written: [ErrNotOurs], [ErrNewerSchema], [ErrCorrupt],
// [ErrCannotOpen], [ErrReadOnly], [ErrBusy], [ErrDiskFull].
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if o.Readers <= 0 {
		o.Readers = defaultReaders
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	inline, err := o.Inline.Resolve()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	f, err := openFile(ctx, path, o.Readers)
	if err != nil {
		return nil, err
	}
	s := &Store{file: f, limits: o.Limits, queue: groupcommit.NewQueue(groupcommit.Options{
		BatchEvents: batchEvents, BatchBytes: batchBytes, Batches: queuedBatches, Yields: yields,
	}), drained: make(chan struct{}), sink: Sink{file: f}}
	s.appender = appender{file: f, now: o.Now, writer: newWriterID(), inline: inline, appended: s.appended}
	if err := s.ready(ctx); err != nil {
		_ = f.close(ctx) // the first error tells more
		return nil, err
	}
	s.wakeups.open(f)
	go func() {
		defer close(s.drained)
		s.appender.run(s.queue)
	}()
	return s, nil
}

// appended wakes those who wait for the log, and for the rows that came with it.
func (s *Store) appended() {
	s.wakeups.signal.Notify()
	if s.appender.inline != nil {
		s.sink.changed.Notify()
	}
}

// ready prepares the statements and names a new store.
func (s *Store) ready(ctx context.Context) error {
	if err := s.file.prepare(ctx, slices.Concat(appends, sinkWrites), slices.Concat(reads, sinkReads)); err != nil {
		return err
	}
	if _, err := s.Head(ctx); !errors.Is(err, errUnnamed) {
		return err
	}
	return s.file.write(ctx, func(tx *transaction) error {
		id := eventstore.NewStoreID()
		return tx.exec(ctx, createStoreSQL, id[:])
	})
}

// Capabilities implements [eventstore.Capable].
func (s *Store) Capabilities(ctx context.Context) (eventstore.Capabilities, error) {
	can := eventstore.Capabilities{
		Wakeups: eventstore.Polled,
		Notes: []string{
			fmt.Sprintf("the file is %s, at schema %d", s.file.path, latestSchema),
			fmt.Sprintf("appends of this process wake its readers at once, those of others within %v", maxPoll),
		},
	}
	if s.appender.inline != nil {
		can.Excluded = []eventstore.Part{eventstore.Importing}
	}
	return can, ctx.Err()
}

// Close refuses new appends with [eventstore.ErrClosed], waits until those in the queue
// are answered, and closes the file. If ctx ends first, the appends that have not been
// started are refused too and Close returns the error of ctx; the file is closed even so.
// Reads under way end with an error. Closing again does nothing.
func (s *Store) Close(ctx context.Context) error {
	s.queue.Close()
	var late error
	select {
	case <-s.drained:
	case <-ctx.Done():
		late = ctx.Err()
		s.queue.Discard()
		<-s.drained // the batch under way: a matter of one fsync
	}
	s.wakeups.close()
	if err := s.file.close(ctx); err != nil {
		return err
	}
	return late
}
