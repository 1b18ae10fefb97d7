package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// rebuild is one run of the verb.
type rebuild struct {
	app     App
	inPlace bool
	yes     bool
	output  Output
}

// rebuilt is what came of it.
type rebuilt struct {
	Name    string              `json:"name"`
	Version int                 `json:"version"`
	Events  eventstore.Position `json:"events"` // of the log, that it has come to
	Seconds float64             `json:"seconds"`
	// Replaced is the version that was live; 0: it was made anew in place.
	Replaced int `json:"replaced,omitempty"`
	// DeadLetters is how many keys are parked in it.
	DeadLetters int `json:"dead_letters"`
}

const rebuildHelp = `Builds this program's generation of a read model beside the live one from the whole log, compares a sample of its rows
with a second fold, and makes it live in one step. Readers see neither an error nor an older row. The old
generation is kept, see projections rollback and retire. A worker of the new program does the same by itself; this is for
doing it before that is deployed, and for watching. Interrupted, it goes on from there when it is run again.

A generation that is live already is not built beside itself: raise its version. With --in-place the view is emptied and
filled again under its readers, who see it grow; interrupted, its workers go on from there.`

func rebuildCommand(app App) *cobra.Command {
	r := &rebuild{app: app}
	cmd := &cobra.Command{
		Use: "rebuild NAME", Short: "Build a read model anew from the log", Long: rebuildHelp,
		Example: fmt.Sprintf("  %[1]s projections rebuild orders\n  %[1]s projections rebuild orders --in-place --yes", app.Name),
		Args:    OneArgument("the name of a view, or of a handler"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.look(cmd.Context(), func(all []model) error {
				found, err := named(all, args[0])
				if err != nil {
					return err
				}
				return r.run(cmd, found[0])
			})
		},
	}
	cmd.Flags().BoolVar(&r.inPlace, "in-place", false, "empty it and fill it again under its readers")
	YesFlag(cmd, &r.yes)
	OutputFlag(cmd, &r.output, Table, JSON)
	return completes(cmd, look(app.look).names)
}

func (r *rebuild) run(cmd *cobra.Command, m model) (err error) {
	ctx := cmd.Context()
	if m.kind == anInline {
		return fmt.Errorf("appends apply %s: have its program call SwitchInline with the new version", m.Name)
	}
	if m.task == nil {
		return fmt.Errorf("%s is a %s, and has no rows to build anew: only views and handlers do", m.Name, m.kind)
	}
	builds, err := m.sink.Builds(ctx, m.Name)
	if err != nil {
		return fmt.Errorf("read the generations of %s: %w", m.Name, err)
	}
	live, isLive := projection.LiveBuild(builds)
	isLive = isLive && live.Generation == m.Generation
	switch {
	case isLive && !r.inPlace:
		return fmt.Errorf("%s is live already: raise its version in the program, or say --in-place", m)
	case !isLive && r.inPlace:
		return fmt.Errorf("%s is not live: --in-place is for the live generation", m)
	case r.inPlace && m.kind == aHandler:
		return fmt.Errorf("%s is a handler, and only its author knows what to empty: call projection.ResetHandler", m)
	case r.inPlace:
		err := Confirm(cmd, Confirmation{
			Yes: r.yes, Question: fmt.Sprintf("Empty %s and fill it again? Readers see it grow.", m),
			Undone: "nothing was emptied", Unless: "say --yes if readers may see it grow",
		})
		if err != nil {
			return err
		}
	}
	began := time.Now()
	if err := r.watch(ctx, cmd.ErrOrStderr(), m); err != nil {
		return err
	}
	return r.tell(cmd, m, live.Version, time.Since(began))
}

// watch rebuilds under a bar.
func (r *rebuild) watch(ctx context.Context, stderr io.Writer, m model) (err error) {
	head, err := m.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	bar := NewBar(stderr, "rebuild "+m.String(), int64(head.Position))
	defer func() { bar.Finish(err == nil) }()
	if r.inPlace {
		return m.refill(ctx, head, bar)
	}
	note := ""
	return projection.Rebuild(ctx, m.log, m.worker.Events, *m.task, projection.RebuildOptions{
		Segments: m.worker.Segments, TTL: m.worker.TTL,
		OnProgress: func(p projection.RebuildProgress) {
			if p.Note != note && p.Note != "" {
				bar.Sayf("%s", p.Note)
			}
			note = p.Note
			bar.Set(int64(p.Done), progressNote(p))
		},
	})
}

func progressNote(p projection.RebuildProgress) string {
	if p.Phase != projection.Replaying {
		return string(p.Phase)
	}
	text := fmt.Sprintf("%s of %s events, %s/s", Thousands(p.Done), Thousands(p.Total), Thousands(int64(p.Rate)))
	if p.ETA > 0 {
		text += ", " + ago(p.ETA) + " left"
	}
	return text
}

// refill empties a view and has it filled again up to where the log is, together with the workers that run
// anyway.
func (m model) refill(ctx context.Context, head eventstore.Token, bar *Bar) error {
	s, err := projection.StatusOf(ctx, m.log, m.sink, m.Generation)
	if err == nil {
		err = m.goesOn(s)
	}
	if err != nil {
		return err
	}
	if err := m.task.Reset(ctx, m.log, m.worker.Events); err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	w := *m.worker
	w.Tasks, w.Hooks = []projection.Task{*m.task}, projection.Hooks{Failed: func(_ projection.Generation, err error) { bar.Sayf("%s", err) }}
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- w.Run(working)
	}()
	err = m.reaches(working, head.Position, bar)
	stop()
	if failed := <-ended; failed != nil {
		err = failed // it is why the goal was not reached
	}
	if err != nil {
		bar.Sayf("%s is not full yet: its workers go on from here, and the same command empties it again", m)
	}
	return err
}

// lookEvery is how often a verb looks at what others do.
const lookEvery = 100 * time.Millisecond

// reaches waits until the model has come to a position.
func (m model) reaches(ctx context.Context, goal eventstore.Position, bar *Bar) error {
	began := time.Now()
	for {
		s, err := projection.StatusOf(ctx, m.log, m.sink, m.Generation)
		if err != nil {
			return err
		}
		bar.Set(int64(s.Position), fmt.Sprintf("%s of %s events, %s/s", Thousands(s.Position), Thousands(goal), Thousands(Rate(s.Position, time.Since(began)))))
		if s.Position >= goal {
			return nil
		}
		if err := m.goesOn(s); err != nil {
			return err
		}
		for _, l := range s.Segments {
			if state := stateOf(l); state == subscription.Failed || state == subscription.Diverged {
				return errors.New(l.Report.Note)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// goesOn returns an error if the workers of a model wait for somebody to resume it.
func (m model) goesOn(s projection.Status) error {
	for _, l := range s.Segments {
		if l.Holder == subscription.OnPause {
			return fmt.Errorf("%s is paused: projections resume has it go on", m)
		}
	}
	return nil
}

func (r *rebuild) tell(cmd *cobra.Command, m model, before int, took time.Duration) error {
	s, err := projection.StatusOf(cmd.Context(), m.log, m.sink, m.Generation)
	if err != nil {
		return err
	}
	is := rebuilt{Name: m.Name, Version: m.Version, Events: s.Position, Seconds: took.Seconds(), DeadLetters: len(s.Parked)}
	if before != m.Version {
		is.Replaced = before
	}
	if r.output == JSON {
		return PrintJSON(cmd.OutOrStdout(), is)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s is live, at position %s, after %s (%s/s).\n", m, Thousands(is.Events), ago(took), Thousands(Rate(is.Events, took)))
	if is.Replaced > 0 {
		fmt.Fprintf(out, "%s@%d is kept: projections rollback makes it live again, projections retire removes it.\n", m.Name, is.Replaced)
	}
	if is.DeadLetters > 0 {
		fmt.Fprintf(out, "%s keys are parked: see dead-letters list %s.\n", Thousands(is.DeadLetters), m.Name)
	}
	return nil
}
