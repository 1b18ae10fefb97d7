package export

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/leftfold/leftfold/eventstore"
)

// Target is a store that a log can be imported into.
type Target interface {
	eventstore.Portable
	eventstore.LogReader
}

// How much is imported at once, in a transaction of the store.
const (
	batchEvents = 5000
	batchBytes  = 4 << 20
)

// Import reads a file into an empty store, which becomes the store that was exported, in a new incarnation.
// Nobody appends to it until the whole file is in it. An import that was broken off, however, goes on
// with the same file: what is there already is held against the file, event by event, and nothing comes twice.
//
// A file that is not as it was written is refused with the line ([LineError]); what stands before the line may have been
// imported by then, and the store stays closed for appends. So [Verify] a file first. A store that has events of
// its own is [eventstore.ErrNotEmpty].
func Import(ctx context.Context, store Target, r io.Reader, progress Progress) (Summary, error) {
	return importIn(ctx, store, r, progress, batchEvents)
}

func importIn(ctx context.Context, store Target, r io.Reader, progress Progress, batch int) (Summary, error) {
	i := importing{ctx: ctx, store: store, batch: batch}
	defer func() { i.stop() }()
	s, err := read(ctx, r, visitor{i.begin, i.event, i.command}, progress)
	if err == nil {
		err = i.flush()
	}
	if err != nil {
		return s, err
	}
	return s, store.EndImport(ctx)
}

// storeError is an error that has nothing to do with a line.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// importing is one run.
type importing struct {
	ctx   context.Context
	store Target
	batch int                                       // the most events or commands at once
	there eventstore.Position                       // what an earlier run has imported
	next  func() (eventstore.Recorded, error, bool) // of these
	end   func()

	events   []eventstore.Recorded
	commands []eventstore.RememberedCommand
	bytes    int
}

func (i *importing) stop() {
	if i.end != nil {
		i.end()
	}
}

func (i *importing) begin(announced Summary) error {
	if err := i.store.BeginImport(i.ctx, announced.Store); err != nil {
		return &storeError{err}
	}
	read, err := i.store.ReadLog(i.ctx, eventstore.LogQuery{})
	if err != nil {
		return &storeError{err}
	}
	i.there = read.Through.Position
	if int64(i.there) > announced.Events {
		return &storeError{fmt.Errorf("the store has %d events already, and the file %d: it is the import of another file", i.there, announced.Events)}
	}
	i.next, i.end = iter.Pull2(read.Events())
	return nil
}

func (i *importing) event(e eventstore.Recorded) error {
	if e.Position <= i.there {
		there, err, ok := i.next()
		if err != nil || !ok {
			return &storeError{fmt.Errorf("read what was imported at position %d: %w", e.Position, err)}
		}
		if !there.Equal(e) {
			return fmt.Errorf("the store has another event at position %d: it is the import of another file", e.Position)
		}
		return nil
	}
	i.events = append(i.events, e)
	if i.bytes += len(e.Data) + len(e.Metadata); len(i.events) == i.batch || i.bytes >= batchBytes {
		return i.flush()
	}
	return nil
}

func (i *importing) command(c eventstore.RememberedCommand) error {
	if len(i.events) > 0 {
		if err := i.flush(); err != nil {
			return err
		}
	}
	i.commands = append(i.commands, c)
	if len(i.commands) == i.batch {
		return i.flush()
	}
	return nil
}

func (i *importing) flush() error {
	if len(i.events)+len(i.commands) == 0 {
		return nil
	}
	if err := i.store.Import(i.ctx, i.events, i.commands); err != nil {
		return &storeError{err}
	}
	i.events, i.commands, i.bytes = nil, nil, 0
	return nil
}
