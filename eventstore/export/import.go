package export

import (
	"context"
	"errors"
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
	batchEvents = 1000
	batchBytes  = 4 << 20
)

// Import reads a file into an empty store, which becomes the store that was exported, in a new incarnation.
// Nobody appends to it until the whole file is in it. An import that was broken off, however, goes on
// with the same file: what is there already is held against the file, event by event, and nothing comes twice.
// In the same way it finds that the store has all of the file, and may have gone on since: [Summary].Already.
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
	if s.Already = i.already != nil; s.Already {
		return s, err
	}
	if err == nil {
		err = i.finish(eventstore.Position(s.Events))
	}
	if err != nil && i.begun && !refused(err) {
		err = fmt.Errorf("%w; nobody can append to the store until its import has ended: run it again, with the whole file", err)
	}
	return s, err
}

// refused reports whether the store itself says what is to be done.
func refused(err error) bool {
	_, ofStore := errors.AsType[*storeError](err)
	return ofStore && (errors.Is(err, eventstore.ErrInvalid) || errors.Is(err, eventstore.ErrDiverged) || errors.Is(err, eventstore.ErrForeignToken))
}

// storeError is an error that has nothing to do with a line.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// importing is one run.
type importing struct {
	ctx   context.Context
	store Target
	batch int                                       // the most events or commands at once
	begun bool                                      // and not refused
	life  eventstore.Identity                       // that the import is for
	there eventstore.Position                       // what an earlier run has imported
	next  func() (eventstore.Recorded, error, bool) // of these
	end   func()

	already *remembered // by a store that takes no import

	events   []eventstore.Recorded
	commands []eventstore.RememberedCommand
	bytes    int
}

func (i *importing) stop() {
	if i.end != nil {
		i.end()
	}
	if i.already != nil {
		i.already.end()
	}
}

func (i *importing) begin(announced Summary) error {
	life, err := i.store.BeginImport(i.ctx, announced.Store)
	if errors.Is(err, eventstore.ErrNotEmpty) {
		return i.compare(announced, err)
	}
	if err != nil {
		return &storeError{err}
	}
	i.begun, i.life = true, life
	read, err := i.store.ReadLog(i.ctx, eventstore.LogQuery{})
	if err == nil {
		err = eventstore.CheckImporting(life, read.Identity, true)
	}
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
	return i.added(bytesOf(e))
}

// added imports what there is, if it is enough.
func (i *importing) added(bytes int) error {
	if i.bytes += bytes; len(i.events)+len(i.commands) == i.batch || i.bytes >= batchBytes {
		return i.flush()
	}
	return nil
}

// fixedBytes is about what ids, numbers and times take.
const fixedBytes = 64

func bytesOf(e eventstore.Recorded) int {
	n := fixedBytes + len(e.Stream) + len(e.Type) + len(e.Metadata) + len(e.Data)
	for _, tag := range e.Tags {
		n += len(tag)
	}
	return n
}

func (i *importing) command(c eventstore.RememberedCommand) error {
	if i.already != nil {
		return i.already.has(c)
	}
	if len(i.events) > 0 {
		if err := i.flush(); err != nil {
			return err
		}
	}
	i.commands = append(i.commands, c)
	bytes := fixedBytes
	for stream := range c.Versions {
		bytes += len(stream)
	}
	return i.added(bytes)
}

// finish ends the import where the file ends: what others import of the same store may go on behind it.
func (i *importing) finish(end eventstore.Position) error {
	if err := i.flush(); err != nil {
		return err
	}
	if err := i.store.EndImport(i.ctx, eventstore.Token{Identity: i.life, Position: end}); err != nil {
		return &storeError{err}
	}
	return nil
}

func (i *importing) flush() error {
	if len(i.events)+len(i.commands) == 0 {
		return nil
	}
	if err := i.store.Import(i.ctx, i.life, i.events, i.commands); err != nil {
		return &storeError{err}
	}
	i.events, i.commands, i.bytes = nil, nil, 0
	return nil
}
