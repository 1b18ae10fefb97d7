package aggregate

import (
	"context"

	"github.com/leftfold/leftfold/eventstore"
)

// Decision turns the state of an aggregate into the events that follow, or into an
// error: a refusal. No events and no error mean that nothing needs to happen.
//
// A decision must be pure, a function of the state and of values fixed before it: it
// runs again whenever another writer was faster. So take the time and new ids outside.
type Decision[S, E any] func(state S) ([]E, error)

// Store is what executing decisions takes of an event store.
type Store interface {
	eventstore.Appender
	eventstore.StreamReader

	// Head is that of [eventstore.LogReader]: the token of a decision without events.
	Head(ctx context.Context) (eventstore.Token, error)
}

// Repository executes decisions on aggregates of one type, and loads their states. It
// may be used by many goroutines.
type Repository[S, E any] struct {
	store   Store
	typ     *Type[S, E]
	options Options

	snapshots *Snapshots // nil: none
	cache     *cache[S]  // nil: none
	elsewhere bool       // the store was put in place of ours, see With
}

// Options are those of a [Repository]. The zero value works.
type Options struct {
	// MaxAttempts is how often one Execute decides before it returns the conflict that
	// it keeps meeting; 1 never decides again. [ExecuteAll] decides as often as the most
	// patient of its plans. Default: 10.
	MaxAttempts int
}

func (o Options) attempts() int {
	if o.MaxAttempts <= 0 {
		return defaultAttempts
	}
	return o.MaxAttempts
}

// NewRepository returns a repository of the type's aggregates in the store, with the
// default [Options].
func NewRepository[S, E any](store Store, t *Type[S, E]) *Repository[S, E] {
	return &Repository[S, E]{store: store, typ: t}
}

// WithOptions returns a repository like r with the options.
func (r *Repository[S, E]) WithOptions(options Options) *Repository[S, E] {
	with := *r
	with.options = options
	return &with
}

// With returns a repository like r on another store, such as one that appends inside the
// caller's database transaction. Its events may never come to be, so the repository neither uses
// the cache of r nor fills it, and has no snapshots taken; it does begin with those that are there.
func (r *Repository[S, E]) With(store Store) *Repository[S, E] {
	with := *r
	with.store, with.cache, with.elsewhere = store, nil, true
	return &with
}

// Execute loads the aggregate, decides, and appends the events, on the condition that
// the stream has not moved; if it has, Execute starts over, up to
// [Options.MaxAttempts] times with growing random pauses. An aggregate without events
// has the zero state, so the first decision creates it.
//
// Under a command id, given by [CommandID] or else carried by ctx (see
// [eventstore.WithCommand]), a repeat returns the first receipt with Repeated set: also
// when the decision refuses now, because a command that has succeeded often makes
// itself impossible. A decision without events is remembered like any other.
//
// When Execute returns nil the events are durable, as far as the store promises, and the
// receipt's token makes a query see them. A decision without events appends nothing; the
// token is then that of the head.
//
// Errors wrap the decision's own in a [RefusedError], a decode error, those of [eventstore.Appender] and of
// ctx, so errors.Is finds a refusal. A conflict that outlasted the attempts is
// [eventstore.ErrVersionConflict], or [eventstore.ErrDiverged] of a log that failed over. On any error but [eventstore.ErrOutcomeUnknown] nothing
// was appended. Under a
// command id an append of unknown outcome is repeated a few times, which mostly settles
// it; the receipt may then say Repeated of this very call. Repeat the command if not.
func (r *Repository[S, E]) Execute(ctx context.Context, id string, decide Decision[S, E], options ...ExecuteOption) (eventstore.Receipt, error) {
	s := newSettings(ctx, options)
	if s.maxAttempts == 0 {
		s.maxAttempts = r.options.MaxAttempts
	}
	if r.cache != nil && !r.elsewhere {
		return r.executeCached(ctx, id, decide, s)
	}
	return executeAll(ctx, r.store, []Plan{r.Plan(id, decide)}, s)
}

// Plan prepares a decision on the aggregate for [ExecuteAll]. Nothing is read yet.
func (r *Repository[S, E]) Plan(id string, decide Decision[S, E]) Plan {
	stream := r.typ.Stream(id)
	return Plan{stream: stream, attempts: r.options.attempts(), propose: func(ctx context.Context, store Store, s settings) (proposed, error) {
		k, err := r.load(ctx, store, stream)
		if err != nil {
			return proposed{}, err
		}
		p, err := r.typ.decideOn(stream, k.state, k.version, decide, s)
		p.life = k.life
		return p, err
	}}
}

// decideOn decides on a state and encodes what was decided.
func (t *Type[S, E]) decideOn(stream eventstore.StreamID, state S, version eventstore.Version, decide Decision[S, E], s settings) (proposed, error) {
	if err := s.checkExpected(stream, version); err != nil {
		return proposed{}, err
	}
	decided, err := decide(state)
	if err != nil {
		return proposed{}, &RefusedError{err}
	}
	events, err := encode(t.events, decided, s.encoded)
	if err != nil {
		return proposed{}, err
	}
	return proposed{write: eventstore.Write{Stream: stream, Expected: eventstore.Exactly(version), Events: events}, version: version}, nil
}
