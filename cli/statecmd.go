package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

const stateAtHelp = `Shows the state of an aggregate: the fold of its stream, by this program's code, as it is now or as it was
at a time, at a version of the stream, or at a position of the log. It also says which event made it so.

A time counts events that were recorded at or before it; it may be one that a table shows.`

func stateAtCommand(app App) *cobra.Command {
	var output Output
	var at, version, position string
	cmd := &cobra.Command{
		Use: "state-at STREAM", Short: "Show the state of an aggregate, as it is or as it was", Long: stateAtHelp,
		Example: fmt.Sprintf("  %[1]s state-at order-7\n  %[1]s state-at order-7 --at 2026-11-26T18:00:00Z\n  %[1]s state-at order-7 --version 3 -o json", app.Name),
		Args:    OneArgument("one stream, such as order-7"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := momentOf(at, version, position)
			if err != nil {
				return Misused(cmd, err)
			}
			return app.with(cmd.Context(), func(parts Parts) error {
				s, err := parts.stateAt(cmd.Context(), args[0], m)
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), output)
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "as it was at a `time`: 2026-11-26T18:00:00Z, 2026-11-26 or 24h (ago)")
	cmd.Flags().StringVar(&version, "version", "", "as it was at a `version` of its stream; 0: before its first event")
	cmd.Flags().StringVar(&position, "position", "", "as it was at a `position` of the log")
	OutputFlag(cmd, &output, Table, JSON)
	return cmd
}

// momentOf reads flags of which one at most is given.
func momentOf(at, version, position string) (m moment, err error) {
	given := 0
	for _, flag := range []string{at, version, position} {
		if flag != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return m, errors.New("want one of --at, --version and --position")
	case at != "":
		if m.time, err = parseTime(at, time.Now()); err != nil {
			return m, fmt.Errorf("--at: %w", err)
		}
	case version == "0":
		m.start = true
	case version != "":
		if m.version, err = parsePositive[eventstore.Version](version); err != nil {
			return m, fmt.Errorf("--version %q: want a number from 0", version)
		}
	case position != "":
		if m.position, err = parsePositive[eventstore.Position](position); err != nil {
			return m, fmt.Errorf("--position %q: want a number from 1", position)
		}
	}
	return m, nil
}

// stateAt finds the aggregate of a stream.
func (p Parts) stateAt(ctx context.Context, stream string, at moment) (state, error) {
	id := eventstore.StreamID(stream)
	if err := id.Validate(); err != nil {
		return state{}, err
	}
	var known []string
	for _, a := range p.Aggregates {
		if a.Category() == id.Category() {
			return a.stateAt(ctx, id.ID(), at)
		}
		known = append(known, a.Category())
	}
	for _, w := range p.Sagas {
		for _, s := range w.Sagas {
			if s.Name() == id.Category() {
				return state{}, fmt.Errorf("%s is an instance of a saga: sagas show %s %s tells what happened to it", stream, s.Name(), id.ID())
			}
		}
	}
	if len(known) == 0 {
		return state{}, errors.New("the program says nothing of its aggregates: add them to cli.Parts.Aggregates")
	}
	slices.Sort(known)
	return state{}, fmt.Errorf("%q is no aggregate of the program: it has %s", id.Category(), strings.Join(known, ", "))
}

func (s state) print(out io.Writer, output Output) error {
	if output == JSON {
		return PrintJSON(out, s)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, s.State, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\n%s\n", s.title(), &text)
	return err
}

func (s state) title() string {
	if s.Version == 0 {
		return fmt.Sprintf("%s before its first event", s.Stream)
	}
	return fmt.Sprintf("%s at version %d: %s, position %d, recorded %s", s.Stream, s.Version, s.Type, s.Position, s.RecordedAt.UTC().Format(time.RFC3339Nano))
}

const diffHelp = `Shows what changed in the state of an aggregate between two moments. A moment is
` + momentForms + `.

Without --from it is the last event before --to, and without --to it is now: what the newest event did.`

// compared is what changed.
type compared struct {
	Stream  eventstore.StreamID `json:"stream"`
	From    state               `json:"from"`
	To      state               `json:"to"`
	Changes []change            `json:"changes"`
}

type change struct {
	Path string          `json:"path"`
	Old  json.RawMessage `json:"old,omitempty"`
	New  json.RawMessage `json:"new,omitempty"`
}

func diffCommand(app App) *cobra.Command {
	var output Output
	var from, to string
	cmd := &cobra.Command{
		Use: "diff STREAM", Short: "Show what changed in the state of an aggregate between two moments", Long: diffHelp,
		Example: fmt.Sprintf("  %[1]s diff order-7\n  %[1]s diff order-7 --from 24h --to now\n  %[1]s diff order-7 --from 2 --to 5 -o json", app.Name),
		Args:    OneArgument("one stream, such as order-7"),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			until, err := parseMoment(to, now)
			if err != nil {
				return Misused(cmd, fmt.Errorf("--to %w", err))
			}
			var since moment
			if from != "" {
				if since, err = parseMoment(from, now); err != nil {
					return Misused(cmd, fmt.Errorf("--from %w", err))
				}
			}
			return app.with(cmd.Context(), func(parts Parts) error {
				c, err := parts.compare(cmd.Context(), args[0], since, until)
				if err != nil {
					return err
				}
				return c.print(cmd.OutOrStdout(), output)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the earlier `moment`")
	cmd.Flags().StringVar(&to, "to", "now", "the later `moment`")
	OutputFlag(cmd, &output, Table, JSON)
	return cmd
}

func (p Parts) compare(ctx context.Context, stream string, from, to moment) (c compared, err error) {
	if c.To, err = p.stateAt(ctx, stream, to); err != nil {
		return c, err
	}
	if from.isNow() {
		from = versionOf(c.To.Version - 1)
	}
	if c.From, err = p.stateAt(ctx, stream, from); err != nil {
		return c, err
	}
	if c.From.Version > c.To.Version {
		return c, fmt.Errorf("--from is version %d, and --to is version %d: it must not be the earlier one", c.From.Version, c.To.Version)
	}
	changes, err := aggregate.Diff(c.From.State, c.To.State)
	c.Stream, c.Changes = c.To.Stream, []change{}
	for _, one := range changes {
		c.Changes = append(c.Changes, change{one.Path, one.Old, one.New})
	}
	return c, err
}

func versionOf(v eventstore.Version) moment { return moment{version: max(v, 0), start: v <= 0} }

func (c compared) print(out io.Writer, output Output) error {
	if output == JSON {
		return PrintJSON(out, c)
	}
	fmt.Fprintf(out, "from  %s\nto    %s\n", c.From.title(), c.To.title())
	if len(c.Changes) == 0 {
		fmt.Fprintln(out, "Nothing changed.")
	}
	for _, one := range c.Changes {
		fmt.Fprintf(out, "  %s\n", Printable(aggregate.Change{Path: one.Path, Old: one.Old, New: one.New}.String()))
	}
	return nil
}
