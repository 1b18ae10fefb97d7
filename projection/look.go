package projection

import (
	"context"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/query"
)

// Readable is what a [Reader] reads from.
type Readable interface {
	// Look reads rows of a generation and tells how fresh they are, on one node: the rows
	// include everything that the checkpoints cover, but for parked keys, even if the node is
	// replaced by one that is further behind meanwhile. They may be newer, and how much is told
	// too. A generation that is not there has no stage and no rows, and is no error.
	Look(ctx context.Context, model Model, rows RowQuery) (Look, error)

	// Changed returns a channel that is closed at the next commit made through this
	// sink, or nil if the sink cannot tell. Once it is closed, Checkpoint and reads see that commit.
	Changed() <-chan struct{}
}

// RowQuery selects the rows of a [Look].
type RowQuery struct {
	// Keys selects rows by their keys; they come in any order.
	Keys []string
	// List selects them in an order instead; nil: by Keys.
	List *ListQuery
	// Bare says that nobody wants to know how far the rows have come: Look.Followed may be left out
	// where that costs less.
	Bare bool
}

// among reports whether a row of the key may be among those that are selected.
func (q RowQuery) among(key string) bool { return q.List != nil || slices.Contains(q.Keys, key) }

// Look is what a generation looked like on one node.
type Look struct {
	// Stage is where the generation is in its life; empty: it is not there.
	Stage Stage
	// Live is the generation of its name that is live; the zero one: there is none.
	Live Generation
	// Followed is how far it has come with each store that it follows.
	Followed []Followed
	// Rows are those that were asked for and exist. The caller owns them.
	Rows []Row
}

// Followed is how far a generation has come with one store.
type Followed struct {
	// Applied is the lowest of the checkpoints of its segments.
	Applied subscription.Checkpoint
	// Newest is the highest of them, after the rows were read or at the same moment: no row has
	// anything that is newer.
	Newest subscription.Checkpoint
	// Parked are the keys that are parked, by key.
	Parked []Parked
}

// NewLook is for sinks: it makes a look at a generation of the builds of its name, without what is
// parked and without rows.
func NewLook(builds []Build, of Generation) Look {
	build, _ := FindBuild(builds, of)
	live, _ := LiveBuild(builds)
	look := Look{Stage: build.Stage, Live: live.Generation}
	for _, c := range build.Checkpoints {
		n := slices.IndexFunc(look.Followed, func(f Followed) bool { return f.Applied.Source.Store == c.Source.Store })
		switch {
		case n < 0:
			look.Followed = append(look.Followed, Followed{Applied: c, Newest: c})
		case c.Position() < look.Followed[n].Applied.Position():
			look.Followed[n].Applied = c
		case c.Position() > look.Followed[n].Newest.Position():
			look.Followed[n].Newest = c
		}
	}
	return look
}

// Has reports whether a look may be answered from, and shows what is required.
func (l Look) Has(required []eventstore.Token) bool {
	if l.Stage != Live && l.Stage != Kept {
		return false
	}
	for _, token := range required {
		for _, f := range l.Followed {
			at := f.Applied.Token()
			if at.Store == token.Store && (at.Incarnation != token.Incarnation || at.Position < token.Position) {
				return false
			}
		}
	}
	return true
}

// lacks returns the keys among those asked for that are parked, and so lack something of what is required.
func (l Look) lacks(required []eventstore.Token, among func(parked string) bool) (keys []Parked) {
	for _, token := range required {
		for _, p := range l.parked(token.Store) {
			if p.Event.Position <= token.Position && among(p.Key) {
				keys = append(keys, p)
			}
		}
	}
	return keys
}

func (l Look) follows(source eventstore.StoreID) bool {
	return slices.ContainsFunc(l.Followed, func(f Followed) bool { return f.Applied.Source.Store == source })
}

func (l Look) parked(source eventstore.StoreID) []Parked {
	for _, f := range l.Followed {
		if f.Applied.Source.Store == source {
			return f.Parked
		}
	}
	return nil
}

// seen returns how far the rows have come.
func (l Look) seen() query.Seen {
	return query.Seen{Applied: l.Tokens(), Newest: l.Newest()}
}

// Tokens returns how far the rows have come.
func (l Look) Tokens() []eventstore.Token {
	tokens := make([]eventstore.Token, len(l.Followed))
	for n, f := range l.Followed {
		tokens[n] = f.Applied.Token()
	}
	return tokens
}

// Newest returns up to where there may be something in the rows.
func (l Look) Newest() []eventstore.Token {
	tokens := make([]eventstore.Token, len(l.Followed))
	for n, f := range l.Followed {
		tokens[n] = f.Newest.Token()
	}
	return tokens
}

// AwaitLook looks until the generation may be read and has what ctx requires, and returns that look:
// what a [Reader] does, for those who read otherwise. The checkpoint passes parked keys by, so it
// does not tell of theirs: one that is among those asked for, and lacks something of what is
// required, is a [ParkedError].
func AwaitLook(ctx context.Context, from Readable, model Model, rows RowQuery, among func(parked string) bool) (Look, error) {
	rows.Bare = !query.Wanted(ctx)
	reading := &reading{from: from, model: model, rows: rows}
	if err := query.Await(ctx, reading); err != nil {
		return Look{}, err
	}
	if parked := reading.look.lacks(query.Required(ctx), among); len(parked) > 0 {
		return Look{}, &ParkedError{Model: model.Name, Keys: parked}
	}
	return reading.look, nil
}

// reading is one look that is waited for, as [query.Await] sees it.
type reading struct {
	from  Readable
	model Model
	rows  RowQuery
	look  Look
}

func (r *reading) Name() string { return r.model.Name }

func (r *reading) Changed() <-chan struct{} { return r.from.Changed() }

func (r *reading) Look(ctx context.Context) (query.Seen, error) {
	look, err := r.from.Look(ctx, r.model, r.rows)
	if err != nil {
		return query.Seen{}, err
	}
	r.look = look
	seen := look.seen()
	switch {
	case look.Stage == Live || look.Stage == Kept:
		return seen, nil
	case look.Live.Version > r.model.Version:
		return query.Seen{}, fmt.Errorf("%w: %s", ErrOutdated, look.Live)
	case look.Live != Generation{}:
		seen.Late = r.building
		return seen, nil
	case len(query.Required(ctx)) > 0: // somebody may begin to build it
		return query.Seen{}, nil
	}
	return query.Seen{}, ErrNotBuilt
}

// building is the error of a generation that was not live in time.
func (r *reading) building(over error) error {
	build := Build{Generation: r.model.Generation, Stage: r.look.Stage}
	for _, f := range r.look.Followed {
		build.Checkpoints = append(build.Checkpoints, f.Applied)
	}
	return &BuildingError{Build: build, Live: r.look.Live, Err: over}
}
