package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// Command returns the command of a program, with the verbs that need its code: work runs its
// projections, sagas and relays; the others look at what they have made, and steer them. Run it by
// [Main], alone or below a command of the program's own.
//
// It panics if the app has no name or cannot be opened.
func Command(app App) *cobra.Command {
	if app.Name == "" || app.Open == nil {
		panic("cli.Command: App.Name and App.Open are required")
	}
	v := verbs{program: app.Name, look: app.look}
	return Group(app.Name, "What "+app.Name+" is made of, at work and as it was",
		workCommand(app), stateAtCommand(app), diffCommand(app),
		Group("projections", "Read models: how they do, and what to do about it",
			v.projectionsList(), v.pause(), v.resume(), rebuildCommand(app), v.rollback(), v.retire()),
		Group("dead-letters", "Keys that are left alone because an event of theirs fails",
			v.deadLettersList(), deadLettersRetry(app), deadLettersSkip(app)),
		Group("sagas", "Instances of sagas: how they do, and what happened to them",
			v.sagasList(app.lookAtSagas), v.sagasShow(app.lookAtSagas), sagasResume(app)),
		v.timers(app.lookAtSagas), v.lag(), v.top())
}

// with opens the parts for as long as do runs.
func (a App) with(ctx context.Context, do func(parts Parts) error) (err error) {
	parts, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close(context.WithoutCancel(ctx))) }()
	return do(parts)
}

func (a App) open(ctx context.Context) (Parts, error) {
	parts, err := a.Open(ctx)
	if err != nil {
		return parts, fmt.Errorf("open %s: %w", a.Name, err)
	}
	return parts, nil
}

func (p Parts) close(ctx context.Context) error {
	if p.Close == nil {
		return nil
	}
	return p.Close(ctx)
}
