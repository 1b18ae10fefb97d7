package cli

import (
	"context"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// App is a program, for the verbs that [Command] makes of it.
type App struct {
	// Name is the program's, and that of its command: a word. Required.
	Name string
	// Open opens what the program is made of. A verb that needs it calls it once, after the command
	// line was read: flags of the program's own, such as the URL of its store, have their values by
	// then, and --help opens nothing. It must not start anything: [Command]'s verb work runs the workers,
	// and the others only look. Required.
	Open func(ctx context.Context) (Parts, error)
}

// Parts are what a program is made of: the very values that it would run by itself, so that nothing is
// written twice. All may be empty; a verb whose part is not there says so. Their hooks are called as
// ever, and the verb work logs what they are told.
//
// Each worker brings the store that it reads and the sink that it writes, so there may be any number of
// both.
type Parts struct {
	// Projections keep the read models. Their names are those of the command line, each once
	// among all of Projections and Relays.
	Projections []projection.Worker
	// Sagas run the sagas, each name once.
	Sagas []saga.Worker
	// Relays publish events.
	Relays []relay.Relay
	// Aggregates have states to look at, see [Of].
	Aggregates []Aggregate
	// Close closes what Open has opened, after the last use of the parts. Its context ends with the grace
	// period of the verb work. Default: nothing is to be closed.
	Close func(ctx context.Context) error
}

// Aggregate is a kind of aggregates together with the store of their streams. [Of] makes one.
type Aggregate interface {
	// Category is that of the streams.
	Category() string

	stateAt(ctx context.Context, id string, at moment) (state, error)
}

// Of returns the aggregates of a type in a store, for [Parts].Aggregates.
func Of[S, E any](store aggregate.Store, of *aggregate.Type[S, E]) Aggregate {
	return &typed[S, E]{of, aggregate.NewRepository(store, of), store}
}
