package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// Kept is what workers keep of a store in a sink: enough to look at read models and sagas, and to steer
// them, without the code of the program.
type Kept struct {
	Store eventstore.Store
	Sink  projection.Sink // which is a [projection.Lister]
	Close func(ctx context.Context) error
}

// KeptVerbs are the verbs of [Command] that need no code of the program. program and flags are the
// command line of their examples; with gives each the flags that open needs.
func KeptVerbs(program, flags string, with func(cmd *cobra.Command), open func(ctx context.Context) (Kept, error)) []*cobra.Command {
	v := verbs{program: program, at: flags, flags: with, look: func(ctx context.Context, do func(all []model) error) error {
		return during(ctx, open, func(k Kept, names []string) error {
			all := make([]model, len(names))
			for n, name := range names {
				all[n] = model{Generation: projection.Generation{Name: name}, log: k.Store, sink: k.Sink}
			}
			return do(all)
		})
	}}
	sagas := func(ctx context.Context, do func(all []story) error) error {
		return during(ctx, open, func(k Kept, names []string) error {
			var all []story
			for _, s := range saga.NamesAmong(names) {
				all = append(all, story{s, k.Store, k.Sink})
			}
			return do(all)
		})
	}
	return []*cobra.Command{
		Group("projections", "Read models: how they do, and what to do about it", v.projectionsList(), v.pause(), v.resume(), v.rollback(), v.retire()),
		Group("dead-letters", "Keys that are left alone because an event of theirs fails", v.deadLettersList()),
		Group("sagas", "Instances of sagas: how they do, and what happened to them", v.sagasList(sagas), v.sagasShow(sagas)),
		v.timers(sagas), v.lag(), v.top(),
	}
}

// during opens what is kept for as long as do runs.
func during(ctx context.Context, open func(ctx context.Context) (Kept, error), do func(k Kept, names []string) error) (err error) {
	k, err := open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Close(context.WithoutCancel(ctx))) }()
	names, err := k.Sink.(projection.Lister).Names(ctx)
	if err != nil {
		return err
	}
	return do(k, names)
}
