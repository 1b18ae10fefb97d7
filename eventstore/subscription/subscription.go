package subscription

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Window is a piece of the log between two checkpoints: every matching event after
// From and up to To. It may hold none; the checkpoint moves all the same. The targets of a
// worker share what it holds: they must not change it, nor the events' bytes.
type Window struct {
	From, To Checkpoint
	Events   []eventstore.Recorded
	Prepared any // what [Options].Prepare made of Events
}

// Target is where a subscription's events take effect.
type Target interface {
	// Checkpoint returns how far the target has applied the source's log. It must see
	// every Apply that returned before it was called.
	Checkpoint(ctx context.Context, source eventstore.StoreID) (Checkpoint, error)

	// Apply makes the events take effect and moves the checkpoint from From to To, both
	// or neither. It must answer [ErrStale], with nothing changed, if the stored
	// checkpoint is not From.
	//
	// An error may come although the step, or a first part of it with a checkpoint of its own,
	// took effect (a lost answer, an event that fails behind others). The subscription
	// reads the checkpoint again before it does anything else, so the target need not care.
	// [ErrPermanent], [eventstore.ErrDiverged] and [eventstore.ErrForeignToken] end the
	// subscription at once, [eventstore.ErrStoreBusy] is tried again until it passes, and
	// every other error a few times.
	Apply(ctx context.Context, window Window) error
}

// Progress tells how far a subscription has come. Head is the log's newest position
// when it was last read.
type Progress struct {
	Name           string
	Position, Head eventstore.Position
}

// Options tune a subscription. The zero value works.
type Options struct {
	// Window is the most positions to read at once. Default: 5000.
	Window int
	// WindowBytes bounds the memory for a window: it ends early, with the event that
	// brings its payloads and metadata to this many bytes. While windows are applied others
	// are read; there are at most three for each subscription. Default: 16 MiB.
	WindowBytes int
	// Prepare does what can be done with the events of a window before it is applied, such as
	// decoding them: once for all targets of a worker, and while they apply the window before.
	// A failure is part of what it returns. Default: nothing is prepared.
	Prepare func(events []eventstore.Recorded) any
	// OnProgress is called after each window, at the end of a catch-up, and now and then while
	// there is nothing new, from the subscription's goroutine. Default: nobody is told.
	OnProgress func(Progress)
}

// How a failing step is tried again: an error that is not known to pass is tried
// [maxTries] times within about two seconds, then the subscription stops with it. A busy
// store is known to pass and is waited for.
const (
	maxTries   = 3
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Subscription reads one log for one target. Run or CatchUp, one at a time.
type Subscription struct {
	*source
	name   string
	target Target
	feed   *feed // shared with others; nil: it has one of its own while it runs

	stillBusy func(error) // told when a store has been busy for long; nil: nobody is told
}

// New returns a subscription of the target to the events of the log that match the
// query. The name is for errors and progress.
func New(name string, log eventstore.LogReader, query eventstore.Query, target Target, options Options) *Subscription {
	return &Subscription{source: newSource(log, query, options), name: name, target: target}
}

func newSource(log eventstore.LogReader, query eventstore.Query, options Options) *source {
	if options.Window <= 0 {
		options.Window = 5000
	}
	if options.WindowBytes <= 0 {
		options.WindowBytes = 16 << 20
	}
	return &source{log: log, query: query, options: options}
}

// Run applies the log, past and future, until ctx ends; then it returns nil. It
// returns [eventstore.ErrDiverged] if the log is no longer the one that the
// checkpoint speaks of, and any other error that did not pass when tried again.
// What was applied stays applied; running again goes on from there.
func (s *Subscription) Run(ctx context.Context) error {
	err := s.follow(ctx, math.MaxInt64)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of ctx is how Run is told to stop; a driver may report it in words of its own
	}
	return err
}

// CatchUp applies the log up to its head at the time of the call and returns nil,
// even while appends go on. Its errors are those of Run, and the error of ctx if that
// ends first.
func (s *Subscription) CatchUp(ctx context.Context) error {
	goal, err := s.head(ctx)
	if err != nil {
		return err
	}
	return s.follow(ctx, goal)
}

// head returns the log's newest position, tried again like any other step.
func (s *Subscription) head(ctx context.Context) (eventstore.Position, error) {
	var retry retry
	for {
		head, err := s.log.Head(ctx)
		if err == nil {
			return head.Position, nil
		}
		if err := retry.pauseAfter(ctx, fmt.Errorf("read the head: %w", err)); err != nil {
			return 0, fmt.Errorf("%s: %w", s.name, err)
		}
	}
}

// follow steps through the log until a position has been applied. Where there is no more to
// apply it waits.
func (s *Subscription) follow(ctx context.Context, goal eventstore.Position) error {
	f := s.feed
	if f == nil {
		f = newFeed(ctx, s.source)
		defer f.close()
	}
	defer f.leave(s)
	var retry retry
	at, err := s.checkpoint(ctx)
	for wait := false; ; {
		var reached Checkpoint
		var head eventstore.Position
		if err == nil {
			reached, head, err = s.step(ctx, f, at, wait, goal)
		}
		switch {
		case err == nil:
			if reached != at || wait { // a look that finds nothing is no success of a wait that fails
				retry.reset()
			}
			at = reached
			s.report(at.Position(), head)
			if at.Position() >= goal {
				return nil
			}
			wait = at.Position() >= head
		case errors.Is(err, ErrStale) && s.moved(ctx, &at):
			wait, err = false, nil
		default:
			if s.stillBusy != nil && retry.pause == maxPause {
				s.stillBusy(err)
			}
			if err := retry.pauseAfter(ctx, err); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			// The step may have taken effect before its answer was lost.
			wait = false
			at, err = s.checkpoint(ctx)
		}
	}
}

// moved reads the checkpoint again and reports whether somebody else has moved it. A
// target that calls a checkpoint stale and then returns the same one (it reads from a
// replica that lags, say) has failed and gets a pause: else the loop would spin.
func (s *Subscription) moved(ctx context.Context, at *Checkpoint) bool {
	stored, err := s.checkpoint(ctx)
	if err != nil || stored == *at {
		return false
	}
	*at = stored
	return true
}

func (s *Subscription) checkpoint(ctx context.Context) (Checkpoint, error) {
	head, err := s.log.Head(ctx)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the head: %w", err)
	}
	at, err := s.target.Checkpoint(ctx, head.Store)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the checkpoint: %w", err)
	}
	return at, nil
}

// step applies one window and returns the checkpoint after it, and the head of the log.
func (s *Subscription) step(ctx context.Context, f *feed, from Checkpoint, wait bool, goal eventstore.Position) (Checkpoint, eventstore.Position, error) {
	if err := ctx.Err(); err != nil {
		return from, 0, err
	}
	p, err := f.next(ctx, s, from, wait, goal)
	if err != nil {
		return from, 0, explained(from, err)
	}
	to, err := s.apply(ctx, from, p)
	if err != nil {
		f.forget(p)
	}
	return to, p.facts.Head, err
}

// apply hands a piece to the target, if the log that it was read from is the checkpoint's.
func (s *Subscription) apply(ctx context.Context, from Checkpoint, p *piece) (Checkpoint, error) {
	if err := from.verify(&p.facts); err != nil {
		return from, err
	}
	window := Window{From: from, To: from.next(p.facts.Identity, p.facts.Through), Events: p.events, Prepared: p.prepared}
	if window.To == from {
		return from, nil
	}
	if err := s.target.Apply(ctx, window); err != nil {
		return from, err
	}
	return window.To, nil
}

// explained says of a log that ends before the checkpoint what that means.
func explained(from Checkpoint, err error) error {
	if errors.Is(err, eventstore.ErrAheadOfLog) {
		return fmt.Errorf("%w: the checkpoint is at %s: %w; rebuild the read model", eventstore.ErrDiverged, from.Anchor, err)
	}
	return err
}

// ReadWindow returns the events that match the query between a checkpoint and a position, or
// [eventstore.ErrDiverged] if the log is no longer the one that the checkpoint speaks of. It is
// for those who apply a piece of the log by themselves, and all of it is in memory.
func ReadWindow(ctx context.Context, log eventstore.LogReader, query eventstore.Query, from Checkpoint, through eventstore.Position) (Window, error) {
	read, err := log.ReadLog(ctx, eventstore.LogQuery{Query: query, After: from.Position(), Through: through})
	if err != nil {
		return Window{}, explained(from, fmt.Errorf("read the log: %w", err))
	}
	if err := from.verify(read); err != nil {
		return Window{}, err
	}
	window := Window{From: from, To: from.next(read.Identity, read.Through)}
	for event, err := range read.Events() {
		if err != nil {
			return Window{}, fmt.Errorf("read the log: %w", err)
		}
		window.Events = append(window.Events, event)
	}
	return window, nil
}

// advance applies the log from one checkpoint to the place of another one, and no further. It
// tries nothing again.
func (s *Subscription) advance(ctx context.Context, at, to Checkpoint) (Checkpoint, error) {
	for at.Position() < to.Position() {
		p := piece{at: at.place()}
		if err := s.read(ctx, &p, to.Position()); err != nil {
			return at, explained(at, err)
		}
		next, err := s.apply(ctx, at, &p)
		if err != nil {
			return at, err
		}
		if next == at {
			return at, fmt.Errorf("%w: the head is %d, a neighbour is at %d", ErrStale, p.facts.Head, to.Position())
		}
		at = next
	}
	return at, nil
}

func (s *Subscription) report(at, head eventstore.Position) {
	if s.options.OnProgress != nil {
		s.options.OnProgress(Progress{Name: s.name, Position: at, Head: head})
	}
}

// ErrPermanent marks an error of a target that trying again cannot cure, such as an
// event that does not decode. The subscription stops with it at once.
var ErrPermanent = errors.New("permanent failure")

// EventFailure is an error of a target that names the event which it could not apply, for reports.
type EventFailure interface {
	error
	// FailedAt returns the event and its type.
	FailedAt() (at eventstore.Anchor, eventType string)
}

// retry counts the tries of a failing step.
type retry struct {
	tries int
	pause time.Duration
}

func (r *retry) reset() { *r = retry{} }

// pauseAfter waits before the next try, or returns the error that ends the subscription.
func (r *retry) pauseAfter(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, lasting := range []error{ErrPermanent, ErrFenced, ErrNoSegment, eventstore.ErrDiverged, eventstore.ErrForeignToken} {
		if errors.Is(err, lasting) {
			return err
		}
	}
	if !errors.Is(err, eventstore.ErrStoreBusy) {
		r.tries++
	}
	if r.tries >= maxTries {
		return err
	}
	r.pause = min(max(2*r.pause, firstPause), maxPause)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.pause):
		return nil
	}
}
