package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli/screen"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// top is one run of the verb.
type top struct {
	program  string
	every    time.Duration
	duration time.Duration
	output   Output
	on       *screen.Screen // nil if it prints lines

	last  sample
	rates map[string]float64 // by generation, in events a second
	// The newest of each, as many as a screen is wide.
	appended, lags []float64
}

// sample is how everything does at a moment.
type sample struct {
	at    time.Time
	heads map[string]eventstore.Position // by store
	all   []standing
}

const topHelp = `Shows at what rate events are appended and read models follow, how far behind they are, and what fails, until Ctrl-C.
On a terminal it draws a screen again and again; elsewhere it prints a line every few seconds. It only reads, and asks for
as much as projections list does each time.`

func (v verbs) top() *cobra.Command {
	t := &top{program: v.program}
	cmd := &cobra.Command{
		Use: "top", Short: "Watch rates, lags and failures, live", Long: topHelp,
		Example: v.example("top") + "\n" + v.example("top --for 1m -o jsonl"), Args: NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.every < 0 || t.duration < 0 {
				return Misused(cmd, errors.New("--every and --for: want more than 0"))
			}
			out := cmd.OutOrStdout()
			_, _, live := screen.Size(out)
			live = live && t.output == Table
			pause := 5 * time.Second
			if live {
				pause = time.Second
			}
			t.every = cmp.Or(t.every, pause)
			return v.look(cmd.Context(), func(models []model) error { return t.run(cmd.Context(), models, out, live) })
		},
	}
	cmd.Flags().DurationVar(&t.every, "every", 0, "look so often (default: 1s on a terminal, else 5s)")
	cmd.Flags().DurationVar(&t.duration, "for", 0, "end after so long (default: at Ctrl-C)")
	OutputFlag(cmd, &t.output, Table, JSONLines)
	return v.add(cmd)
}

func (t *top) run(ctx context.Context, models []model, out io.Writer, live bool) error {
	asking := ctx
	if t.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.duration)
		defer cancel()
	}
	if live {
		if on, ok := screen.Open(out, nil); ok {
			defer on.Close()
			defer func() { on.Log(t.line()) }() // which stays
			t.on = on
		}
	}
	ticks := time.NewTicker(t.every)
	defer ticks.Stop()
	for {
		if err := t.look(asking, models); err != nil {
			if asking.Err() != nil {
				return nil // Ctrl-C is how it is told to stop
			}
			return err
		}
		if err := t.show(out); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// look takes a sample and says at what rates things went since the last one.
func (t *top) look(ctx context.Context, models []model) error {
	now := sample{at: time.Now(), heads: map[string]eventstore.Position{}}
	var err error
	if now.all, err = standings(ctx, models); err != nil {
		return err
	}
	for _, s := range now.all {
		now.heads[s.Source] = max(now.heads[s.Source], s.Head)
	}
	before := t.last
	t.rates, t.last = map[string]float64{}, now
	took := now.at.Sub(before.at).Seconds()
	if before.at.IsZero() || took <= 0 {
		return nil
	}
	appended, lag := 0.0, int64(0)
	for source, head := range now.heads {
		if was, known := before.heads[source]; known {
			appended += float64(head-was) / took
		}
	}
	for _, s := range now.all {
		if s.Stage == projection.Live {
			lag = max(lag, s.Lag)
		}
		n := slices.IndexFunc(before.all, func(b standing) bool { return b.key() == s.key() })
		if n >= 0 {
			t.rates[s.key()] = max(float64(s.Position-before.all[n].Position)/took, 0)
		}
	}
	t.appended, t.lags = remember(t.appended, appended), remember(t.lags, float64(lag))
	return nil
}

// remember keeps as many as a wide screen shows.
func remember(all []float64, newest float64) []float64 {
	const most = 240
	all = append(all, newest)
	return all[max(len(all)-most, 0):]
}

func (t *top) show(out io.Writer) error {
	switch {
	case t.output == JSONLines:
		return NewEncoder(out).Encode(t.tick())
	case t.on != nil:
		columns, lines, ok := screen.Size(out)
		if !ok {
			return nil // it is gone, or too small for a character
		}
		return t.on.Draw(t.screen(columns, lines))
	}
	_, err := fmt.Fprintln(out, t.line())
	return err
}

// tick is what programs get of each look.
type tick struct {
	At          time.Time  `json:"at"`
	Appended    float64    `json:"appended_per_second"`
	Projections []standing `json:"projections"`
}

func (t *top) tick() tick {
	return tick{t.last.at.UTC(), newest(t.appended), t.last.all}
}

func newest(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1]
}

// line is all of it in one line, what matters most first: a narrow screen cuts it.
func (t *top) line() string {
	var slowest standing
	failing, dead := 0, 0
	for _, s := range t.last.all {
		if s.Stage == projection.Live && s.Lag >= slowest.Lag {
			slowest = s
		}
		if len(s.Failures) > 0 {
			failing++
		}
		dead += s.DeadLetters
	}
	text := fmt.Sprintf("%s  %s events/s, %d failing, %s dead letters", t.last.at.UTC().Format(time.TimeOnly),
		Thousands(int64(newest(t.appended)+0.5)), failing, Thousands(dead))
	if slowest.Name != "" {
		text += fmt.Sprintf(", %s is %s behind (%s)", slowest.generation(), Thousands(slowest.Lag), ago(slowest.behind()))
	}
	return text
}

// screen is what fits on one, no line wider and no more lines than it has. What does worst stands first.
func (t *top) screen(width, height int) []string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", t.line())
	if height >= 20 {
		text.WriteString(plot("events/s appended", t.appended, width))
	}
	if height >= 32 {
		text.WriteString(plot("events behind, the slowest", t.lags, width))
	}
	text.WriteString("\n")
	all := slices.Clone(t.last.all)
	slices.SortStableFunc(all, func(a, b standing) int { return slices.Index(worst, b.State) - slices.Index(worst, a.State) })
	for _, s := range all {
		for _, f := range s.Failures {
			fmt.Fprintf(&text, "%s: %s\n", s.generation(), Printable(f.Cause))
		}
	}
	text.WriteString(t.table(all, width))
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	lines = lines[:min(len(lines), height)]
	for n := range lines {
		lines[n] = strings.TrimRight(Snip(lines[n], width), " ")
	}
	return lines
}

// table has no column that does not fit.
func (t *top) table(all []standing, width int) string {
	var text strings.Builder
	const besideName, position = 62, 13 // columns
	name, room := min(max(width-besideName, 12), 24), width >= besideName+position+24
	if room {
		name = min(width-besideName-position, 40)
	}
	row := func(cells ...any) {
		line := fmt.Sprintf("%-*s %-22s %8s %6s %9s  %-8s", append([]any{name}, cells[:6]...)...)
		if room {
			line += fmt.Sprintf(" %*s", position-1, cells[6])
		}
		text.WriteString(line + "\n")
	}
	row("name", "status", "lag", "behind", "events/s", "stage", "position")
	for _, s := range all {
		version := fmt.Sprintf("@%d", s.Version)
		row(Snip(s.Name, name-len(version))+version, s.status(), Thousands(s.Lag), ago(s.behind()), Thousands(int64(t.rates[s.key()]+0.5)),
			orDash(string(s.Stage)), Thousands(s.Position))
	}
	return text.String()
}

// plot draws how something went, the newest to the right. It keeps its width, its height and its scale's place
// whatever the numbers are.
func plot(caption string, values []float64, width int) string {
	const height, scale = 5, 9
	drawn := make([]float64, max(width-scale-3, 10))
	for n := range drawn {
		drawn[n] = math.NaN() // nothing is drawn there
	}
	values = values[max(len(values)-len(drawn), 0):]
	copy(drawn[len(drawn)-len(values):], values)
	return "\n" + asciigraph.Plot(drawn, asciigraph.Height(height), asciigraph.LowerBound(0), asciigraph.UpperBound(height),
		asciigraph.YAxisValueFormatter(func(value float64) string { return fmt.Sprintf("%*s", scale, Thousands(int64(value+0.5))) }),
		asciigraph.Caption(caption)) + "\n"
}
