package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Stage is where a generation is in its life.
type Stage string

// The stages of a generation. Exactly one of a name is live, from the moment that the first is
// opened.
const (
	// Building: it is behind the live one, and its readers wait.
	Building Stage = "building"
	// Live: readers of the SQL view see it.
	Live Stage = "live"
	// Kept: it was live and can be again, see [Rollback]. Its readers go on reading it.
	Kept Stage = "kept"
)

// Build is a generation in a sink, and how far it has come.
type Build struct {
	Generation
	Stage Stage
	// Checkpoints are those of its segments, for all sources.
	Checkpoints []subscription.Checkpoint
}

// Generations is how a sink replaces one generation of a read model by another.
//
// All of it takes effect at once and is durable when the call returns. An error other than
// those named leaves open whether the call took effect; each call may be made again.
type Generations interface {
	// Builds returns the generations of a name that the sink has, by version.
	Builds(ctx context.Context, name string) ([]Build, error)

	// Index makes the secondary indexes that Open has left out of a generation that is being
	// built: to fill a table and then index it is faster. Those that are there stay. Commits to
	// the generation may have to wait meanwhile.
	Index(ctx context.Context, model Model) error

	// Promote makes a generation live, and keeps the one that was. In the same step it
	// shows it in the SQL view, if the sink has one, and nobody moves a checkpoint of either
	// meanwhile: a reader never sees anything older than before. It is a [BehindError], with
	// nothing changed, unless every segment has come at least as far as the furthest of the live
	// one, in the logs of all its sources; [ErrOutdated] for one that is being built while a later
	// version is live; [ErrNotBuilt] for one that was never opened. Of the live one it changes
	// nothing.
	Promote(ctx context.Context, of Generation) error

	// Retire removes all that the sink has of a generation: rows, checkpoints, leases, what is
	// parked. It is [ErrLive] for the live one, [ErrAttended] while workers attend one. Of one
	// that is not there it changes nothing.
	Retire(ctx context.Context, of Generation) error

	// Reset removes the rows of a generation and what is parked, and puts all its segments
	// at position 0, that of the source in its life of now, under fences that nobody holds: what was
	// loaded before cannot be committed any more. Rows and checkpoints change together. One that
	// was never opened is [ErrNotBuilt].
	Reset(ctx context.Context, of Generation, source eventstore.Identity) error
}

// Lister is a [Generations] that can say which names it has: for tools that do not know the program
// which keeps them. Not every sink is one.
type Lister interface {
	// Names returns the names of which the sink has a generation, each once and sorted. Those
	// of relays and of parts of sagas are among them.
	Names(ctx context.Context) ([]string, error)
}

// Errors of generations, for errors.Is.
var (
	// ErrLive: the generation is live, and what was asked for is for one that is not.
	ErrLive = errors.New("generation is live")
	// ErrAttended: workers attend the generation; stop them first.
	ErrAttended = errors.New("generation is attended by workers")
	// ErrInlineAttended: the store applies the generation inline. It is an ErrAttended.
	ErrInlineAttended = fmt.Errorf("%w: appends apply it inline; open the store without it and call its SwitchInline first", ErrAttended)
	// ErrOutdated: a later version of the read model is live. This program is an old one, or the
	// generation was overtaken while it was being built.
	ErrOutdated = errors.New("a later version of the read model is live (run the program that has it, or give this one a higher version)")
)

// BehindError is why a generation cannot become live: readers would see older rows than before.
type BehindError struct {
	Of, Live Generation
	Source   eventstore.StoreID
	// At is the position of the segment that is least far, Want that of the live one's furthest.
	At, Want eventstore.Position
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("%s is at position %d of store %s and %s, which is live, at %d: run a worker of %s until it has caught up",
		e.Of, e.At, e.Source, e.Live, e.Want, e.Of)
}

// Reaches returns nil if no segment of the build is behind any of the live one's, in the log of
// any of its sources, else a [BehindError]. It is the rule of [Generations].Promote.
func (b Build) Reaches(live Build) error {
	var behind *BehindError
	for _, want := range live.Checkpoints {
		at, follows := b.position(want.Source.Store)
		if (!follows || at < want.Position()) && (behind == nil || want.Position() > behind.Want) {
			behind = &BehindError{b.Generation, live.Generation, want.Source.Store, at, want.Position()}
		}
	}
	if behind == nil {
		return nil
	}
	return behind
}

// position returns that of the segment which is least far.
func (b Build) position(source eventstore.StoreID) (at eventstore.Position, follows bool) {
	for _, c := range b.Checkpoints {
		if c.Source.Store == source && (!follows || c.Position() < at) {
			at, follows = c.Position(), true
		}
	}
	return at, follows
}

// done returns the position up to which the keys are applied on average.
func (b Build) done(source eventstore.StoreID) eventstore.Position {
	var sum, width eventstore.Position
	for _, c := range b.Checkpoints {
		if c.Source.Store == source {
			sum += c.Position() * eventstore.Position(c.Segment.Width())
			width += eventstore.Position(c.Segment.Width())
		}
	}
	return sum / max(width, 1)
}

// FindBuild returns a generation among builds; false: it is not there.
func FindBuild(builds []Build, of Generation) (Build, bool) {
	n := slices.IndexFunc(builds, func(b Build) bool { return b.Generation == of })
	if n < 0 {
		return Build{Generation: of}, false
	}
	return builds[n], true
}

// LiveBuild returns the live one among builds of a name; false: there is none.
func LiveBuild(builds []Build) (Build, bool) {
	n := slices.IndexFunc(builds, func(b Build) bool { return b.Stage == Live })
	if n < 0 {
		return Build{}, false
	}
	return builds[n], true
}

// CheckPromotion is for sinks: it looks at all builds of a name, whose checkpoints nobody moves
// meanwhile, and returns the one that was live, and the error of [Generations].Promote. If the
// generation is live already both are it.
func CheckPromotion(builds []Build, of Generation) (live Build, err error) {
	next, there := FindBuild(builds, of)
	if !there {
		return live, fmt.Errorf("%w: %s", ErrNotBuilt, of)
	}
	live, there = LiveBuild(builds)
	switch {
	case !there || live.Generation == of:
		return live, nil
	case next.Stage == Building && of.Version < live.Version:
		return live, fmt.Errorf("%w: %s", ErrOutdated, live.Generation)
	}
	return live, next.Reaches(live)
}

// Rollback makes a generation live again that was live before. It must have been kept up to date
// by workers of the program that has it, else it is a [BehindError] that says how far it is
// behind. The one that was live is kept in its turn.
func Rollback(ctx context.Context, sink Checkpoints, to Generation) error {
	builds, err := sink.Builds(ctx, to.Name)
	if err != nil {
		return fmt.Errorf("roll back to %s: %w", to, err)
	}
	b, there := FindBuild(builds, to)
	if !there || b.Stage == Building {
		return fmt.Errorf("roll back to %s: %w: it was never live, or was retired", to, ErrNotBuilt)
	}
	if err := sink.Promote(ctx, to); err != nil {
		return fmt.Errorf("roll back to %s: %w", to, err)
	}
	return nil
}

// Retire removes a generation that nobody needs any more: one that was replaced, or one whose
// build has failed. It refuses the live one with [ErrLive], and one that workers attend with
// [ErrAttended]; stop a [Runner] of it yourself, because nobody knows of that. There is no way
// back. Of a [Handler] it removes the checkpoint; its tables are its author's.
func Retire(ctx context.Context, sink Checkpoints, of Generation) error {
	if err := sink.Retire(ctx, of); err != nil {
		return fmt.Errorf("retire %s: %w", of, err)
	}
	return nil
}

// Reset empties the view's rows in place and lets its workers make them again from position 0: for
// rows that are wrong, or whose log was rolled back under them. Readers see the rows grow
// meanwhile; to spare them that, raise the version and see [Rebuild]. Workers need not be
// stopped: whoever holds a segment loses it, and takes it up again at position 0.
func Reset[R any](ctx context.Context, log eventstore.LogReader, sink Sink, view *View[R]) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	if err := sink.Reset(ctx, view.generation, head.Identity); err != nil {
		return fmt.Errorf("reset %s: %w", view.generation, err)
	}
	return nil
}

// Reset does what [Reset] does, for the view of a task. Unlike that it looks before: a view whose rules have
// changed under the same version is left as it is, because no worker would fill it.
func (t Task) Reset(ctx context.Context, log eventstore.LogReader, events *codec.Set) error {
	b, err := t.resolve(events)
	if err != nil {
		return err
	}
	if _, err := t.open(ctx, log, b); err != nil {
		return err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	if err := b.sink.Reset(ctx, t.generation, head.Identity); err != nil {
		return fmt.Errorf("reset %s: %w", t.generation, err)
	}
	return nil
}

// ResetHandler empties what a handler has written and begins at position 0, in one transaction, in
// which empty does what [Reset] does for a view. The handler may be of a new version that writes
// the same tables: whatever other versions of its name are there is removed in that transaction,
// and what their workers have under way cannot be committed any more.
func ResetHandler[Tx any](ctx context.Context, log eventstore.LogReader, sink TxSink[Tx], handler *Handler[Tx], empty func(ctx context.Context, tx Tx) error) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	if err := sink.Restart(ctx, handler.model, head.Identity, empty); err != nil {
		return fmt.Errorf("reset %s: %w", handler.model.Generation, err)
	}
	return nil
}
