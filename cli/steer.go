package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/projection"
)

const generationArgument = "the name of a read model, or a generation of it such as orders@2"

// steered is what became of a generation.
type steered struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Now     string `json:"now"` // paused, resumed, live or retired
}

const pauseHelp = `Stops a read model, a relay or a part of a saga from following its log until projections resume, in all processes and
across restarts. When it returns nothing is applied any more. The rows stay as they are and can be read.

NAME is the live generation; NAME@VERSION is another.`

func (v verbs) pause() *cobra.Command {
	return v.steer("pause NAME", "Stop one from following the log, in all processes", pauseHelp, "projections pause orders", "paused",
		func(ctx context.Context, m model) error { return projection.Pause(ctx, m.log, m.sink, m.Generation) })
}

const resumeHelp = `Takes back a projections pause: the workers go on from where they were. One that has failed for good is
tried anew by a pause and a resume, after its cause was mended.`

func (v verbs) resume() *cobra.Command {
	return v.steer("resume NAME", "Have one go on that was paused", resumeHelp, "projections resume orders", "resumed",
		func(ctx context.Context, m model) error { return projection.Resume(ctx, m.log, m.sink, m.Generation) })
}

// steer makes a verb that does something to one generation.
func (v verbs) steer(use, short, help, example, now string, do func(ctx context.Context, m model) error) *cobra.Command {
	var output Output
	cmd := &cobra.Command{
		Use: use, Short: short, Long: help, Example: v.example(example), Args: OneArgument(generationArgument),
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.one(cmd.Context(), args[0], func(found []model) error {
				for _, m := range found {
					if err := do(cmd.Context(), m); err != nil {
						return err
					}
				}
				return printSteered(cmd, output, found[0].Generation, now)
			})
		},
	}
	OutputFlag(cmd, &output, Table, JSON)
	return completes(v.add(cmd), v.look.names)
}

func printSteered(cmd *cobra.Command, output Output, of projection.Generation, now string) error {
	if output == JSON {
		return PrintJSON(cmd.OutOrStdout(), steered{of.Name, of.Version, now})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is %s.\n", of, now)
	return nil
}

// one opens the models that an argument names, one for each log that they follow: the live generation, or
// the one that is named.
func (v verbs) one(ctx context.Context, argument string, do func(found []model) error) error {
	name, version, err := parseGeneration(argument)
	if err != nil {
		return err
	}
	return v.look(ctx, func(all []model) error {
		found, err := named(all, name)
		if err != nil {
			return err
		}
		for n := range found {
			if found[n].Version, err = found[n].versionOf(ctx, version); err != nil {
				return err
			}
		}
		return do(found)
	})
}

func parseGeneration(argument string) (name string, version int, err error) {
	name, digits, given := strings.Cut(argument, "@")
	if given {
		if version, err = strconv.Atoi(digits); err != nil || version < 1 {
			return name, 0, Usagef("%q names no generation: want %s", argument, generationArgument)
		}
	}
	return name, version, nil
}

// versionOf returns the version that is meant: the live one by default.
func (m model) versionOf(ctx context.Context, version int) (int, error) {
	builds, err := m.sink.Builds(ctx, m.Name)
	if err != nil {
		return 0, fmt.Errorf("read the generations of %s: %w", m.Name, err)
	}
	live, isLive := projection.LiveBuild(builds)
	switch {
	case version == 0 && isLive:
		return live.Version, nil
	case version == 0:
		return 0, fmt.Errorf("%w: %s: run a worker of it first", projection.ErrNotBuilt, m.Name)
	case !slices.ContainsFunc(builds, func(b projection.Build) bool { return b.Version == version }):
		return 0, fmt.Errorf("%w: %s@%d: projections list has those that are there", projection.ErrNotBuilt, m.Name, version)
	}
	return version, nil
}

const rollbackHelp = `Makes the generation of a read model live again that was live before, in one step; the one that is live now is
kept in its turn. NAME is the newest that is kept; NAME@VERSION is another.

It must be up to date: a worker of the program that has it keeps it so. Else nothing changes, and the error says
how far it is behind.`

func (v verbs) rollback() *cobra.Command {
	var output Output
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Make the generation live again that was before", Long: rollbackHelp,
		Example: v.example("projections rollback orders"), Args: OneArgument(generationArgument),
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.one(cmd.Context(), args[0], func(found []model) error {
				m, ctx := found[0], cmd.Context()
				_, version, _ := parseGeneration(args[0])
				if version == 0 {
					var err error
					if m.Version, err = m.keptVersion(ctx); err != nil {
						return err
					}
				}
				if err := projection.Rollback(ctx, m.sink, m.Generation); err != nil {
					return err
				}
				return printSteered(cmd, output, m.Generation, "live")
			})
		},
	}
	OutputFlag(cmd, &output, Table, JSON)
	return completes(v.add(cmd), v.look.names)
}

func (m model) keptVersion(ctx context.Context) (version int, err error) {
	builds, err := m.sink.Builds(ctx, m.Name)
	for _, b := range builds {
		if b.Stage == projection.Kept {
			version = b.Version
		}
	}
	if err == nil && version == 0 {
		err = fmt.Errorf("no generation of %s is kept: there is nothing to roll back to", m.Name)
	}
	return version, err
}

const retireHelp = `Removes a generation that nobody needs any more, with its rows: one that was replaced, or one whose build has
failed. There is no way back. The live one is refused, and one that workers attend.`

func (v verbs) retire() *cobra.Command {
	var output Output
	var yes bool
	cmd := &cobra.Command{
		Use: "retire NAME@VERSION", Short: "Remove a generation that nobody needs any more", Long: retireHelp,
		Example: v.example("projections retire orders@1"), Args: OneArgument("a generation, such as orders@1"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, version, err := parseGeneration(args[0]); err != nil || version == 0 {
				return Misused(cmd, errors.New("want a generation, such as orders@1"))
			}
			return v.one(cmd.Context(), args[0], func(found []model) error {
				err := Confirm(cmd, Confirmation{
					Yes: yes, Question: fmt.Sprintf("Remove %s with all its rows?", args[0]),
					Undone: "nothing was removed", Unless: "say --yes if nobody reads it any more",
				})
				if err != nil {
					return err
				}
				if err := projection.Retire(cmd.Context(), found[0].sink, found[0].Generation); err != nil {
					return err
				}
				return printSteered(cmd, output, found[0].Generation, "retired")
			})
		},
	}
	YesFlag(cmd, &yes)
	OutputFlag(cmd, &output, Table, JSON)
	return completes(v.add(cmd), v.look.names)
}
