package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// look opens what a verb looks at, for as long as do runs.
type look func(ctx context.Context, do func(all []model) error) error

// look opens the app's models.
func (a App) look(ctx context.Context, do func(all []model) error) error {
	return a.with(ctx, func(parts Parts) error {
		all, err := parts.models()
		if err == nil {
			all, err = withInline(ctx, all)
		}
		if err != nil {
			return err
		}
		return do(all)
	})
}

// verbs are those about models, which need no code of the program. They open what they look at by
// look, with the flags that it needs; program is whose examples they have, and at the rest of its command line.
type verbs struct {
	program, at string
	flags       func(cmd *cobra.Command)
	look        look
}

func (v verbs) example(line string) string {
	return strings.TrimRight(fmt.Sprintf("  %s %s %s", v.program, line, v.at), " ")
}

// add gives a verb the flags of all of them.
func (v verbs) add(cmd *cobra.Command) *cobra.Command {
	if v.flags != nil {
		v.flags(cmd)
	}
	return cmd
}

const listHelp = `Shows how each read model does, whichever process works on it; relays and the parts of sagas
too. A generation is "name@version": while a new one is built, and until the old one is
retired, there are several of a name.

stage   live: readers see it; building: it will be live when it has caught up; kept: it was live
status  running, or what keeps it:
          waiting   it is tried again
          failed    for good, until its cause is mended; pause and resume have it tried anew
          diverged  the log is not the one any more that it has read: rebuild it
          paused    until somebody resumes it
          stopped   no worker attends it (a projection.Runner does not say that it is there)
          new       it was never opened
          inline    appends apply it
lag     how many events it is behind the newest, and behind for how long

Why one fails is told below the table: at which event, why, and since when. So are dead letters:
keys that are left alone because an event of theirs fails, while the others go on.`

func (v verbs) projectionsList() *cobra.Command {
	var output Output
	cmd := &cobra.Command{
		Use: "list", Short: "Show how each read model does, and why one fails",
		Long: listHelp, Example: v.example("projections list"), Args: NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return v.look(cmd.Context(), func(models []model) error {
				all, err := standings(cmd.Context(), models)
				if err != nil {
					return err
				}
				return printStandings(cmd, output, all, v.program)
			})
		},
	}
	OutputFlag(cmd, &output, Table, JSON, JSONLines)
	return v.add(cmd)
}

func printStandings(cmd *cobra.Command, output Output, all []standing, program string) error {
	out := cmd.OutOrStdout()
	if output != Table {
		return printAll(out, output, "projections", all)
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "There are no read models yet.")
		return nil
	}
	var rows []Row
	for _, s := range all {
		rows = append(rows, Row{
			s.generation(), orDash(string(s.Stage)), s.status(),
			Thousands(s.Position), Thousands(s.Lag), ago(s.behind()), s.owner(),
		})
	}
	NewPrinter(out).Table("Read models", 3, Row{"name", "stage", "status", "position", "lag", "behind", "owner"}, rows)
	for _, s := range all {
		s.explain(cmd, program)
	}
	return nil
}

func (s standing) generation() string { return fmt.Sprintf("%s@%d", s.Name, s.Version) }

func (s standing) behind() time.Duration {
	return time.Duration(s.BehindSeconds * float64(time.Second))
}

func (s standing) status() string {
	switch s.DeadLetters {
	case 0:
		return string(s.State)
	case 1:
		return string(s.State) + ", 1 dead letter"
	}
	return fmt.Sprintf("%s, %s dead letters", s.State, Thousands(s.DeadLetters))
}

func (s standing) owner() string {
	switch {
	case len(s.Owners) == 0 || s.State == inline || s.Owners[0] == "(paused)":
		return "-"
	case len(s.Owners) == 1:
		return s.Owners[0]
	}
	return fmt.Sprintf("%d workers", len(s.Owners))
}

// explain tells why it fails.
func (s standing) explain(cmd *cobra.Command, program string) {
	p := NewPrinter(cmd.OutOrStdout())
	for _, f := range s.Failures {
		at := ""
		if f.Position > 0 {
			at = fmt.Sprintf(" at position %d, %s", f.Position, Printable(f.Type))
		}
		fmt.Fprintln(p.Out)
		p.Text(0, fmt.Sprintf("%s is %s%s, since %s (%s ago):", s.generation(), f.State, at, f.Since.Format(time.RFC3339), ago(time.Since(f.Since))))
		p.Text(2, Printable(f.Cause))
	}
	if l := s.FirstDeadLetter; l != nil {
		fmt.Fprintln(p.Out)
		p.Text(0, fmt.Sprintf("%s leaves key %s alone at position %d, %s, since %s (%s ago):", s.generation(), Printable(l.Key), l.Position, Printable(l.Type), l.Since.Format(time.RFC3339), ago(time.Since(l.Since))))
		p.Text(2, Printable(l.Cause))
		retry := program + " dead-letters retry " + s.Name + " --all"
		if s.Kind == "" { // its code is elsewhere
			retry = "dead-letters retry " + s.Name + " --all, of the program that has its code"
		}
		p.Text(2, "When its cause is mended: "+retry)
	}
}

// ago writes how long something is, to the second.
func ago(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
