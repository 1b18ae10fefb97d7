package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

const deadLettersHelp = `A key of a read model whose event fails is parked: this event and all later ones of the key are left
alone, and the other keys go on. So it is with the messages of a relay, and with the instances of a saga. The dead
letter is the event that the key is parked at, and why.`

const deadLettersListHelp = deadLettersHelp + `

NAME is that of a read model, a relay or a part of a saga; without it all are shown.`

func (v verbs) deadLettersList() *cobra.Command {
	var output Output
	cmd := &cobra.Command{
		Use: "list [NAME]", Short: "Show which keys are parked, at which event, why and since when",
		Long: deadLettersListHelp, Example: v.example("dead-letters list"), Args: atMostOne("the name of a read model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.look(cmd.Context(), func(models []model) (err error) {
				if len(args) == 1 {
					if models, err = named(models, args[0]); err != nil {
						return err
					}
				}
				all, err := deadLetters(cmd.Context(), models)
				if err != nil {
					return err
				}
				return printDeadLetters(cmd, output, all)
			})
		},
	}
	OutputFlag(cmd, &output, Table, JSON, JSONLines)
	return completes(v.add(cmd), v.look.names)
}

// deadLetters returns those of all generations of the models.
func deadLetters(ctx context.Context, models []model) (all []deadLetter, err error) {
	for _, m := range models {
		head, err := m.log.Head(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the head: %w", err)
		}
		builds, err := m.sink.Builds(ctx, m.Name)
		if err != nil {
			return nil, fmt.Errorf("read the generations of %s: %w", m.Name, err)
		}
		for _, b := range builds {
			m.Version = b.Version
			parked, err := m.sink.Parked(ctx, b.Generation, head.Store)
			if err != nil && !errors.Is(err, projection.ErrNotBuilt) {
				return nil, fmt.Errorf("read what is parked of %s: %w", b.Generation, err)
			}
			for _, p := range parked {
				all = append(all, m.deadLetter(p))
			}
		}
	}
	return all, nil
}

func printDeadLetters(cmd *cobra.Command, output Output, all []deadLetter) error {
	out := cmd.OutOrStdout()
	if output != Table {
		return printAll(out, output, "dead_letters", all)
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "There are no dead letters.")
		return nil
	}
	for _, l := range all {
		fmt.Fprintf(out, "%s@%d  key %s at position %d, %s, since %s (%s ago)\n  %s\n", l.Model, l.Version,
			Printable(l.Key), l.Position, Printable(l.Type), l.Since.Format(time.RFC3339), ago(time.Since(l.Since)), Printable(l.Cause))
	}
	return nil
}

// unpark is one run of dead-letters retry or skip.
type unpark struct {
	app    App
	skip   bool
	all    bool
	yes    bool
	output Output
}

// unparked is what became of a key.
type unparked struct {
	Model string `json:"model"`
	Key   string `json:"key"`
	Error string `json:"error,omitempty"` // it stays parked, with this
}

const retryHelp = deadLettersHelp + `

Retry applies to a parked key what it lacks, by the code of this program, and takes it up again: after its cause
was mended. Workers may run meanwhile. A key that fails again stays parked, and the code is 1. With --all it goes on
with the others.`

const skipHelp = deadLettersHelp + `

Skip takes a parked key up again as it is. Of a read model the event and all later ones of the key are never
applied: its row stays as it was before, and goes on with what comes next, until the read model is rebuilt. Of a
relay that one event is never published. An instance of a saga cannot skip.`

func deadLettersRetry(app App) *cobra.Command {
	u := &unpark{app: app}
	cmd := u.command("retry NAME [KEY]", "Apply what parked keys lack, and take them up again", retryHelp, app.Name+" dead-letters retry orders --all")
	return cmd
}

func deadLettersSkip(app App) *cobra.Command {
	u := &unpark{app: app, skip: true}
	cmd := u.command("skip NAME [KEY]", "Take parked keys up again without what they lack", skipHelp, app.Name+" dead-letters skip orders order-7")
	YesFlag(cmd, &u.yes)
	return cmd
}

func (u *unpark) command(use, short, help, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: help, Example: "  " + example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 || u.all != (len(args) == 1) {
				return Misused(cmd, errors.New("want a name and a key of dead-letters list, or a name and --all"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return u.app.look(cmd.Context(), func(models []model) error {
				models, err := named(models, args[0])
				if err != nil {
					return err
				}
				return u.run(cmd, models, args[1:])
			})
		},
	}
	cmd.Flags().BoolVar(&u.all, "all", false, "all parked keys of the name")
	OutputFlag(cmd, &u.output, Table, JSON, JSONLines)
	return completes(cmd, look(u.app.look).names)
}

func (u *unpark) run(cmd *cobra.Command, models []model, keys []string) error {
	ctx := cmd.Context()
	var todo []parkedKey
	for _, m := range models {
		found, err := m.parkedKeys(ctx)
		if err != nil {
			return err
		}
		todo = append(todo, found...)
	}
	if !u.all {
		todo = slices.DeleteFunc(todo, func(p parkedKey) bool { return p.Key != keys[0] })
		if len(todo) == 0 {
			return fmt.Errorf("key %q of %s is not parked: dead-letters list %s has those that are", keys[0], models[0].Name, models[0].Name)
		}
	}
	if u.skip && len(todo) > 0 {
		err := Confirm(cmd, Confirmation{
			Yes:      u.yes,
			Question: fmt.Sprintf("Skip %s dead letters of %s? What they are about is never applied.", Thousands(len(todo)), models[0].Name),
			Undone:   "nothing was skipped", Unless: "say --yes if what it lacks shall never be applied",
		})
		if err != nil {
			return err
		}
	}
	return u.unparkAll(cmd, todo)
}

func (u *unpark) unparkAll(cmd *cobra.Command, todo []parkedKey) error {
	did := "retried"
	if u.skip {
		did = "skipped"
	}
	var results []unparked
	failed := 0
	for _, p := range todo {
		result := unparked{Model: p.of.Name, Key: p.Key}
		err := p.unpark(cmd.Context(), u.skip)
		if cmd.Context().Err() != nil {
			return cmd.Context().Err()
		}
		if err != nil {
			failed++
			result.Error = err.Error()
			fmt.Fprintf(cmd.ErrOrStderr(), "key %s: %s\n", Printable(p.Key), Printable(err.Error()))
		}
		results = append(results, result)
	}
	if u.output != Table {
		if err := printAll(cmd.OutOrStdout(), u.output, did, results); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "%s of %s dead letters %s.\n", Thousands(len(todo)-failed), Thousands(len(todo)), did)
	}
	if failed > 0 {
		return fmt.Errorf("%s of %s keys stay parked: mend the cause and retry them", Thousands(failed), Thousands(len(todo)))
	}
	return nil
}

// parkedKey is a dead letter of a model whose code is here.
type parkedKey struct {
	projection.Parked

	of         model
	ofInstance saga.Parked
}

// parkedKeys returns those of the generation that the program has the code of.
func (m model) parkedKeys(ctx context.Context) (all []parkedKey, err error) {
	head, err := m.log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the head: %w", err)
	}
	parked, err := m.sink.Parked(ctx, m.Generation, head.Store)
	if err != nil {
		return nil, fmt.Errorf("read what is parked of %s: %w", m, err)
	}
	var instances []saga.Parked
	if m.sagas != nil && len(parked) > 0 {
		if instances, err = m.sagas.Parked(ctx); err != nil {
			return nil, err
		}
	}
	for _, p := range parked {
		one := parkedKey{Parked: p, of: m}
		if n := slices.IndexFunc(instances, func(i saga.Parked) bool { return i.Parked == p }); n >= 0 {
			one.ofInstance = instances[n]
		}
		all = append(all, one)
	}
	return all, nil
}

func (p parkedKey) unpark(ctx context.Context, skip bool) error {
	switch m := p.of; {
	case m.task != nil && skip:
		return projection.Skip(ctx, m.log, m.worker.Events, *m.task, p.Key)
	case m.task != nil:
		return projection.Retry(ctx, m.log, m.worker.Events, *m.task, p.Key)
	case m.relay != nil && skip:
		return m.relay.Skip(ctx, p.Key, p.at())
	case m.relay != nil:
		return m.relay.Retry(ctx, p.Key)
	case skip:
		return errors.New("an instance of a saga cannot skip an event: mend its code, and retry it")
	}
	return p.of.sagas.Unpark(ctx, p.ofInstance)
}

func (p parkedKey) at() eventstore.Position { return p.Event.Position }

// atMostOne is the Args of a verb that may have one.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return Misused(cmd, fmt.Errorf("unknown argument %q: want %s, or nothing", args[1], what))
		}
		return nil
	}
}
