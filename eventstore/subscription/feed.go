package subscription

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// feed reads the log for the subscriptions of one worker. What one of them has read, the others
// get that come to the same place, and while a piece is being applied the next one is read. It
// keeps two pieces for each subscription at most, and none that all have passed. Whoever finds
// nothing there reads for himself.
//
// A piece may be applied long after it was read, and the log may have been rolled back since.
// That is the same as between any read and its commit, and as harmless:
//
//	The log has 7 8 9, and we have read (7, 9]. A server takes over that has 7 8 only, and gives
//	position 9 to another event. We apply (7, 9]. The checkpoint names the old event at 9.
//	The next read begins there and finds the new one: diverged.
//
// For a piece says what one history of the log has between two events, and is applied only where
// the checkpoint stands at the first of them, which each subscription verifies for itself, and
// moves to the second. So what is applied is a whole prefix of one history, and the checkpoint
// names its end. The feed has no piece beyond what was read, so the next read begins there, and
// compares.
//
// What must not happen is that an old piece leads a checkpoint away from a log that it would
// still fit. So a piece is for the place that it was read for, the life of the store included: a
// checkpoint that was verified in a new life never meets what was read in an old one. And a read
// that fails, or finds the log other than it was, empties the feed.
type feed struct {
	*source
	ctx     context.Context // of what is read; it ends when the feed is closed
	cancel  context.CancelFunc
	reading sync.WaitGroup

	mu      sync.Mutex
	readers map[*Subscription]eventstore.Position // where each one is
	pieces  []*piece                              // in the order in which they were asked for
}

// source is what to read, and how.
type source struct {
	log     eventstore.LogReader
	query   eventstore.Query
	options Options
	matched atomic.Int64 // events of the last piece, to make room for as many
}

// place is where a checkpoint stands: in which life of a store, and at which event.
type place struct {
	source eventstore.Identity
	anchor eventstore.Anchor
}

func (c Checkpoint) place() place { return place{c.Source, c.Anchor} }

// piece is what the log has behind a place, or why that could not be read. It does not change
// once it is done.
type piece struct {
	at       place
	waits    bool               // until there is something, for a while
	cancel   context.CancelFunc // ends the reading
	done     chan struct{}
	facts    eventstore.LogRead // Through is where the piece ends
	events   []eventstore.Recorded
	prepared any
	err      error
}

func (p *piece) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end is the place of a checkpoint that has applied the piece.
func (p *piece) end() place { return place{p.facts.Identity, p.facts.Through} }

// newFeed returns a feed whose reads end with ctx, or when it is closed.
func newFeed(ctx context.Context, from *source) *feed {
	f := &feed{source: from, readers: map[*Subscription]eventstore.Position{}}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// close ends what is being read and waits for it.
func (f *feed) close() {
	f.cancel()
	f.reading.Wait()
}

// next returns the piece behind a checkpoint. If wait is set it waits until there is one, else
// the piece may be empty. Meanwhile the piece behind it is read, as soon as there is one, unless
// that is beyond what the reader wants.
func (f *feed) next(ctx context.Context, reader *Subscription, from Checkpoint, wait bool, wanted eventstore.Position) (*piece, error) {
	p := f.ask(from.place(), wait, reader)
	select {
	case <-p.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case p.err != nil:
	case p.facts.Through.Position < min(p.facts.Head, wanted):
		f.ask(p.end(), false, nil)
	case p.facts.Head < wanted:
		f.ask(p.end(), true, nil)
	}
	return p, p.err
}

// ask returns the piece behind a place, which may still have to be read.
func (f *feed) ask(at place, wait bool, reader *Subscription) *piece {
	f.mu.Lock()
	defer f.mu.Unlock()
	if reader != nil {
		f.readers[reader] = at.anchor.Position
		f.drop()
	}
	for _, p := range f.pieces {
		// Who does not want to wait must not be kept waiting by those who do.
		if p.at == at && (wait || !p.waits || p.isDone()) {
			return p
		}
	}
	p := &piece{at: at, waits: wait, done: make(chan struct{}), err: errNotRead}
	ctx, cancel := context.WithCancel(f.ctx)
	p.cancel = cancel
	f.pieces = append(f.pieces, p)
	f.drop()
	f.reading.Go(func() {
		defer cancel()
		defer f.finish(p) // also if the goroutine is ended by what prepares
		p.err = f.fetch(ctx, p)
	})
	return p
}

var errNotRead = errors.New("the reading of the log has ended early")

func (f *feed) fetch(ctx context.Context, p *piece) error {
	if p.waits {
		if err := f.awaitNews(ctx, p.at.anchor.Position); err != nil {
			return err
		}
	}
	return f.read(ctx, p, math.MaxInt64)
}

// lookEvery is how often the log is read while nothing is appended. One that was rolled back may
// stay behind the checkpoint for long, and nobody would know.
const lookEvery = 2 * time.Second

// awaitNews waits until there is something after a position, or it is time to look.
func (f *feed) awaitNews(ctx context.Context, at eventstore.Position) error {
	waiting, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	err := eventstore.WaitAppended(waiting, f.log, at)
	if waiting.Err() != nil && ctx.Err() == nil {
		return nil // it is time to look
	}
	return err
}

func (f *feed) finish(p *piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(p.done)
	switch {
	case errors.Is(p.err, context.Canceled): // nobody wants it any more, which says nothing of the others
		f.pieces = without(f.pieces, p)
	case p.err != nil || p.at != (place{p.facts.Identity, p.facts.After}):
		f.pieces = slices.DeleteFunc(f.pieces, func(p *piece) bool { return p.isDone() || !p.waits })
	case p.facts.Through == p.facts.After: // soon there will be more
		f.pieces = without(f.pieces, p)
	}
	f.drop()
}

// drop gives up the pieces that all readers have passed, for which nobody waits, and the oldest
// of too many.
func (f *feed) drop() {
	f.pieces = slices.DeleteFunc(f.pieces, func(p *piece) bool {
		for _, at := range f.readers {
			if at <= p.at.anchor.Position {
				return false
			}
		}
		p.cancel()
		return true
	})
	if most := 2 * len(f.readers); len(f.pieces) > most {
		f.pieces = slices.Delete(f.pieces, 0, len(f.pieces)-most)
	}
}

// forget gives up a piece. After a failure of the target the next try is with a new one, as it
// may be the piece that was bad.
func (f *feed) forget(p *piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pieces = without(f.pieces, p)
}

func (f *feed) leave(reader *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, reader)
	f.drop()
}

func without(pieces []*piece, p *piece) []*piece {
	return slices.DeleteFunc(pieces, func(o *piece) bool { return o == p })
}

// read fills the piece with what the log has behind its place, up to a position at most. Pieces
// end at multiples of the window, so that readers who began at different places meet.
func (s *source) read(ctx context.Context, p *piece, limit eventstore.Position) error {
	after, window := p.at.anchor.Position, eventstore.Position(s.options.Window)
	read, err := s.log.ReadLog(ctx, eventstore.LogQuery{Query: s.query, After: after, Through: min(after-after%window+window, limit)})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	p.facts = eventstore.LogRead{Identity: read.Identity, After: read.After, Through: read.Through, Head: read.Head} // without its events
	if read.Through.Position <= after && after < read.Head {
		return fmt.Errorf("read the log: the store covers nothing after position %d, though its head is %d", after, read.Head)
	}
	p.events = make([]eventstore.Recorded, 0, s.matched.Load())
	bytes, last := 0, after
	for event, err := range read.Events() {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if event.Position <= last { // it would take effect twice
			return fmt.Errorf("read the log: the store returned position %d after position %d", event.Position, last)
		}
		last = event.Position
		p.events = append(p.events, event)
		if bytes += len(event.Data) + len(event.Metadata); bytes >= s.options.WindowBytes {
			// The piece ends here; nothing between this event and the next is lost.
			p.facts.Through = eventstore.Anchor{Position: event.Position, EventID: event.ID}
			break
		}
	}
	s.matched.Store(int64(len(p.events)))
	if s.options.Prepare != nil {
		p.prepared = s.options.Prepare(p.events)
	}
	return nil
}
