package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// story is a saga, with what its workers keep and where.
type story struct {
	saga interface {
		Name() string
		Timers() *projection.View[saga.Timer]
		Instances() *projection.View[saga.Instance]
		Timeline(ctx context.Context, store eventstore.StreamReader, id string) ([]saga.Entry, error)
	}
	store eventstore.StreamReader
	sink  projection.Readable
}

// lookAtSagas opens the sagas for as long as do runs.
type lookAtSagas func(ctx context.Context, do func(all []story) error) error

func (a App) lookAtSagas(ctx context.Context, do func(all []story) error) error {
	return a.with(ctx, func(parts Parts) error {
		var all []story
		for _, w := range parts.Sagas {
			for _, s := range w.Sagas {
				all = append(all, story{s, w.Store, w.Sink})
			}
		}
		return do(all)
	})
}

// phases are all of an instance, those that need people first.
var phases = []saga.Phase{saga.Stuck, saga.Compensating, saga.Running, saga.Completed, saga.Compensated}

// sagaInstance is how an instance does.
type sagaInstance struct {
	Saga      string     `json:"saga"`
	ID        string     `json:"id"`
	Phase     saga.Phase `json:"phase"`
	Undoing   bool       `json:"undoing"`
	Step      string     `json:"step,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	BeganAt   time.Time  `json:"began_at"`
	ChangedAt time.Time  `json:"changed_at"`
}

const sagasListHelp = `Shows the instances of the sagas, those first that changed last. A phase is running, compensating (a step has
failed, and what was done is being undone), stuck (it waits for people), completed or compensated.`

func (v verbs) sagasList(open lookAtSagas) *cobra.Command {
	var output Output
	var phase string
	var limit int
	cmd := &cobra.Command{
		Use: "list [SAGA]", Short: "Show the instances of sagas, and which are stuck", Long: sagasListHelp,
		Example: v.example("sagas list --phase stuck"), Args: atMostOne("the name of a saga"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if phase != "" && !slices.Contains(phases, saga.Phase(phase)) {
				return Misused(cmd, fmt.Errorf("there is no phase %q: want one of %s", phase, phases))
			}
			if limit < 1 {
				return Misused(cmd, errors.New("--limit: want 1 or more"))
			}
			return open(cmd.Context(), func(all []story) error {
				all, err := sagasNamed(all, args)
				if err != nil {
					return err
				}
				instances, err := instancesOf(cmd.Context(), all, saga.Phase(phase), limit)
				if err != nil {
					return err
				}
				return printInstances(cmd, output, instances)
			})
		},
	}
	cmd.Flags().StringVar(&phase, "phase", "", "those in a `phase` only")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many of each saga")
	completesPhase(cmd)
	OutputFlag(cmd, &output, Table, JSON, JSONLines)
	return completes(v.add(cmd), open.names)
}

// sagasNamed returns the one that is named, or all.
func sagasNamed(all []story, names []string) (found []story, err error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, s := range all {
		if s.saga.Name() == names[0] {
			return []story{s}, nil
		}
		known = append(known, s.saga.Name())
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("there is no saga %q: there are none", names[0])
	}
	return nil, fmt.Errorf("there is no saga %q: there are %s", names[0], known)
}

func instancesOf(ctx context.Context, sagas []story, phase saga.Phase, limit int) (all []sagaInstance, err error) {
	for _, s := range sagas {
		from := projection.ListQuery{By: "changed_at", Descending: true, Limit: min(limit, 1000)}
		if phase != "" {
			from = projection.ListQuery{By: "phase", After: &projection.Cursor{Value: string(phase)}, Limit: from.Limit}
		}
		found := 0
		for row, err := range projection.NewReader(s.sink, s.saga.Instances()).All(ctx, from) {
			if errors.Is(err, projection.ErrNotBuilt) || err == nil && phase != "" && row.Phase != phase || found == limit {
				break
			}
			if err != nil {
				return nil, err
			}
			found++
			all = append(all, sagaInstance{s.saga.Name(), row.ID, row.Phase, row.Undoing, row.Step, row.Reason, row.BeganAt, row.ChangedAt})
		}
	}
	return all, nil
}

func printInstances(cmd *cobra.Command, output Output, all []sagaInstance) error {
	out := cmd.OutOrStdout()
	if output != Table {
		return printAll(out, output, "instances", all)
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "There are no such instances.")
		return nil
	}
	p := NewPrinter(out)
	var rows []Row
	for _, i := range all {
		rows = append(rows, Row{Printable(i.ID), i.Saga, i.Phase, orDash(i.Step), ago(time.Since(i.ChangedAt)), Printable(i.Reason)})
	}
	p.Table("Instances", 6, Row{"id", "saga", "phase", "step", "changed", "reason"}, rows)
	return nil
}

// told is an entry of a timeline, for programs.
type told struct {
	At      time.Time          `json:"at"`
	Version eventstore.Version `json:"version"`
	Kind    string             `json:"kind"`
	Told    bool               `json:"told"`
	Says    string             `json:"says"`
	Step    string             `json:"step,omitempty"`
	Command string             `json:"command_id,omitempty"`
	Name    string             `json:"name,omitempty"`
	Attempt int                `json:"attempt,omitempty"`
	Timer   string             `json:"timer_id,omitempty"`
	Due     time.Time          `json:"due,omitzero"`
	Reason  string             `json:"reason,omitempty"`
	Phase   saga.Phase         `json:"phase,omitempty"`
	Event   string             `json:"event_id,omitempty"`
}

const sagasShowHelp = `Tells all that happened to an instance, oldest first: what it was told, and indented below, what it decided because
of that: its steps, the commands that it requested with every attempt, its timers, and how it ended.`

func (v verbs) sagasShow(open lookAtSagas) *cobra.Command {
	var output Output
	cmd := &cobra.Command{
		Use: "show SAGA ID", Short: "Tell what happened to an instance", Long: sagasShowHelp,
		Example: v.example("sagas show fulfilment order-7"), Args: sagaAndID,
		RunE: func(cmd *cobra.Command, args []string) error {
			return open(cmd.Context(), func(all []story) error {
				found, err := sagasNamed(all, args[:1])
				if err != nil {
					return err
				}
				timeline, err := found[0].saga.Timeline(cmd.Context(), found[0].store, args[1])
				if err == nil && len(timeline) == 0 {
					err = fmt.Errorf("%s has no instance %q: sagas list has those that changed last", args[0], args[1])
				}
				if err != nil {
					return err
				}
				return printTimeline(cmd.OutOrStdout(), output, timeline)
			})
		},
	}
	OutputFlag(cmd, &output, Table, JSON, JSONLines)
	return completes(v.add(cmd), open.names)
}

func sagaAndID(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return Misused(cmd, errors.New("want a saga and the id of an instance of it"))
	}
	return nil
}

func printTimeline(out io.Writer, output Output, timeline []saga.Entry) error {
	if output != Table {
		all := make([]told, len(timeline))
		for n, e := range timeline {
			all[n] = told{e.RecordedAt, e.Version, e.Kind, e.Told, e.String(), e.Step, e.Command, e.Name, e.Attempt, e.Timer, e.Due, e.Reason, e.Phase, ""}
			if e.Event != nil {
				all[n].Event = e.Event.ID.String()
			}
		}
		return printAll(out, output, "timeline", all)
	}
	p := NewPrinter(out)
	for _, e := range timeline {
		indent := "  "
		if e.Told {
			indent = ""
		}
		if err := p.Line(fmt.Sprintf("%s  %s%s", e.RecordedAt.UTC().Format("2006-01-02T15:04:05.000Z"), indent, Printable(e.String()))); err != nil {
			return err
		}
	}
	return nil
}

const sagasResumeHelp = `Has a stuck instance try again what it is stuck with, with as many attempts as at first: after its cause was mended.
The note is kept with the instance, for people. A worker goes on with it.`

// resumed is an instance that tries again.
type resumed struct {
	Saga string `json:"saga"`
	ID   string `json:"id"`
	Note string `json:"note"`
}

func sagasResume(app App) *cobra.Command {
	var note string
	var output Output
	cmd := &cobra.Command{
		Use: "resume SAGA ID", Short: "Have a stuck instance try again", Long: sagasResumeHelp,
		Example: "  " + app.Name + ` sagas resume fulfilment order-7 --note "the bank is back"`, Args: sagaAndID,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.with(cmd.Context(), func(parts Parts) error {
				for _, w := range parts.Sagas {
					for _, s := range w.Sagas {
						if s.Name() != args[0] {
							continue
						}
						if err := s.Resume(cmd.Context(), w.Store, args[1], note); err != nil {
							return err
						}
						if output == JSON {
							return PrintJSON(cmd.OutOrStdout(), resumed{args[0], args[1], note})
						}
						fmt.Fprintf(cmd.OutOrStdout(), "%s-%s tries again.\n", args[0], args[1])
						return nil
					}
				}
				return fmt.Errorf("there is no saga %q", args[0])
			})
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "why it may succeed now, for people")
	OutputFlag(cmd, &output, Table, JSON)
	return completes(cmd, lookAtSagas(app.lookAtSagas).names)
}
