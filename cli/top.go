package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// top is one run of the verb.
type top struct {
	program  string
	every    time.Duration
	duration time.Duration
	output   Output

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
			_, screen := TerminalWidth(out)
			screen = screen && t.output == Table
			pause := 5 * time.Second
			if screen {
				pause = time.Second
			}
			t.every = cmp.Or(t.every, pause)
			return v.look(cmd.Context(), func(models []model) error { return t.run(cmd.Context(), models, out, screen) })
		},
	}
	cmd.Flags().DurationVar(&t.every, "every", 0, "look so often (default: 1s on a terminal, else 5s)")
	cmd.Flags().DurationVar(&t.duration, "for", 0, "end after so long (default: at Ctrl-C)")
	OutputFlag(cmd, &t.output, Table, JSONLines)
	return v.add(cmd)
}

func (t *top) run(ctx context.Context, models []model, out io.Writer, screen bool) error {
	asking := ctx
	if t.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.duration)
		defer cancel()
	}
	if screen {
		fmt.Fprint(out, hideCursor)
		defer fmt.Fprint(out, showCursor)
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
		if err := t.show(out, screen); err != nil {
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

func (t *top) show(out io.Writer, screen bool) error {
	switch {
	case t.output == JSONLines:
		return NewEncoder(out).Encode(t.tick())
	case screen:
		width, height := 80, 24
		if file, ok := out.(*os.File); ok {
			if w, h, err := term.GetSize(int(file.Fd())); err == nil {
				width, height = w, h
			}
		}
		_, err := io.WriteString(out, redraw(t.screen(width, height)))
		return err
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

// line is all of it in one line.
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
	text := fmt.Sprintf("%s  %s events/s appended", t.last.at.UTC().Format(time.TimeOnly), Thousands(int64(newest(t.appended)+0.5)))
	if slowest.Name != "" {
		text += fmt.Sprintf(", %s is %s events behind (%s)", slowest.generation(), Thousands(slowest.Lag), ago(slowest.behind()))
	}
	return text + fmt.Sprintf(", %d failing, %s dead letters", failing, Thousands(dead))
}

// How a screen is drawn again: each line over the old one, and what is below is erased.
const (
	hideCursor = "\x1b[?25l\x1b[2J"
	showCursor = "\x1b[?25h\r\n"
)

func redraw(screen string) string {
	return "\x1b[H" + strings.ReplaceAll(screen, "\n", "\x1b[K\r\n") + "\x1b[J"
}

// screen is what fits on one, no line wider and no more lines than it has. What does worst stands first.
func (t *top) screen(width, height int) string {
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
	const columns = "%-24s %-23s %9s %8s %9s %12s  %s\n"
	fmt.Fprintf(&text, columns, "name", "status", "lag", "behind", "events/s", "position", "stage")
	for _, s := range all {
		fmt.Fprintf(&text, columns, Snip(s.generation(), 24), s.status(), Thousands(s.Lag), ago(s.behind()),
			Thousands(int64(t.rates[s.key()]+0.5)), Thousands(s.Position), orDash(string(s.Stage)))
	}
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	lines = lines[:min(len(lines), max(height-1, 1))]
	for n := range lines {
		lines[n] = strings.TrimRight(Snip(lines[n], width), " ")
	}
	return strings.Join(lines, "\n")
}

// plot draws how something went.
func plot(caption string, values []float64, width int) string {
	if len(values) < 2 {
		return ""
	}
	const beside = 12 // columns of the scale
	columns := max(width-beside, 10)
	values = values[max(len(values)-columns, 0):]
	return "\n" + asciigraph.Plot(values, asciigraph.Height(5), asciigraph.Precision(0), asciigraph.LowerBound(0), asciigraph.Caption(caption)) + "\n"
}
