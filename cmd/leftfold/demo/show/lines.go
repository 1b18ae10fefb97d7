package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/leftfold/leftfold/cli"
)

// Lines returns the lines of a frame: none wider than width, no more than height. Columns keep their place
// whatever the numbers are, and so do the parts of the screen.
func Lines(f Frame, width, height int, colour bool) []string {
	d := drawing{width: width, paint: paint(colour)}
	d.head(f)
	d.services(f.Services)
	d.gap()
	d.rates(f)
	d.sagas(f.Sagas)
	d.gap()
	d.views(f.Views)
	d.gap()
	d.bars(f.Bars)
	d.gap()
	keys := d.keys(f.Keys)
	rest := height - len(d.lines) - len(keys)
	if rest < enoughToTell { // rather no gaps than no story
		rest += d.close()
	}
	d.tell(f.Story, f.Messages, max(rest, 0))
	d.lines = append(d.lines[:min(len(d.lines), max(height-len(keys), 0))], keys...)
	d.lines = d.lines[:min(len(d.lines), height)]
	for n, line := range d.lines {
		d.lines[n] = d.paint.fit(line, width)
	}
	return d.lines
}

// drawing is lines that grow.
type drawing struct {
	width int
	paint paint
	lines []string
}

const (
	wide         = 120 // columns with room for a story and messages side by side
	enoughToTell = 9   // lines
	gap          = ""
)

func (d *drawing) add(line string) { d.lines = append(d.lines, line) }

func (d *drawing) gap() { d.add(gap) }

// close takes the gaps out, and returns how many there were.
func (d *drawing) close() (gaps int) {
	var kept []string
	for _, line := range d.lines {
		if line != gap {
			kept = append(kept, line)
		}
	}
	gaps = len(d.lines) - len(kept)
	d.lines = kept
	return gaps
}

func (d *drawing) head(f Frame) {
	minutes := int(f.Took.Minutes())
	left := fmt.Sprintf(" %s  %d:%02d", f.Title, minutes, int(f.Took.Seconds())-60*minutes)
	store := cli.Snip(f.Store, max(d.width-text.StringWidth(left)-3, 1))
	between := max(d.width-text.StringWidth(left)-text.StringWidth(store)-1, 1)
	d.add(d.paint.bold(left) + strings.Repeat(" ", between) + d.paint.dim(store))
}

func (d *drawing) services(all []Service) {
	var cells []string
	for _, s := range all {
		cell := fmt.Sprintf("%s %-10s%-7s%-7s", symbols[s.State], cli.Snip(s.Name, 9), cli.Snip(s.Address, 7), s.State)
		switch s.State {
		case Killed:
			cell = d.paint.red(cell)
		case Up:
			cell = d.paint.green(symbols[Up]) + strings.TrimPrefix(cell, symbols[Up])
		}
		cells = append(cells, cell)
	}
	d.grid(cells, 26)
}

var symbols = map[State]string{Up: "●", Down: "○", Killed: "✗"}

// grid puts cells of so many columns side by side.
func (d *drawing) grid(cells []string, columns int) {
	each := max(d.width/columns, 1)
	for len(cells) > 0 {
		n := min(each, len(cells))
		d.add(" " + strings.Join(cells[:n], ""))
		cells = cells[n:]
	}
}

func (d *drawing) rates(f Frame) {
	c, q := f.Commands, f.Queries
	d.rate("commands", c.Rate, fmt.Sprintf("p50 %8s  p99 %8s  conflicts %6s", brief(c.P50), brief(c.P99), cli.Thousands(c.Conflicts)))
	d.rate("events", f.Events, fmt.Sprintf("all %8s", cli.Thousands(f.Events.Total)))
	failed := fmt.Sprintf("failed %5s", cli.Thousands(q.Failed))
	if q.Failed > 0 {
		failed = d.paint.red(failed)
	}
	d.rate("queries", q.Rate, fmt.Sprintf("all %8s  %s", cli.Thousands(q.Total), failed))
}

// besideSpark is how many columns of a line of rates are no sparkline.
const besideSpark = 68

func (d *drawing) rate(name string, r Rate, rest string) {
	columns := min(max(d.width-besideSpark, 8), 60)
	d.add(fmt.Sprintf(" %-9s%8s/s %s  %s", name, cli.Thousands(int64(r.PerSecond+0.5)), d.paint.green(spark(r.History, columns)), rest))
}

func (d *drawing) sagas(s Sagas) {
	d.add(fmt.Sprintf(" %-9s%8s running %9s done %9s compensated", "sagas",
		cli.Thousands(s.Running), cli.Thousands(s.Done), cli.Thousands(s.Compensated)))
}

func (d *drawing) views(all []View) {
	const header, columns = "read model            events   behind  ", 39
	heads := make([]string, min(len(all), max(d.width/columns, 1)))
	var cells, troubles []string
	for n := range heads {
		heads[n] = d.paint.dim(header)
	}
	for _, v := range all {
		cell := fmt.Sprintf("%-19s%9s%9s  ", snipName(v.Name, 18), cli.Thousands(v.Lag), brief(v.Behind))
		if v.Trouble != "" {
			cell = d.paint.red(cell)
			troubles = append(troubles, " "+d.paint.red("✗ "+v.Name+": "+cli.Printable(v.Trouble)))
		}
		cells = append(cells, cell)
	}
	d.grid(heads, columns)
	d.grid(cells, columns)
	d.lines = append(d.lines, troubles...)
}

// snipName cuts the name of a generation, and leaves its version.
func snipName(name string, columns int) string {
	at := max(strings.LastIndex(name, "@"), 0)
	return cli.Snip(name[:at], columns-len(name[at:])) + name[at:]
}

const noBar = " " // its line is kept free

func (d *drawing) bars(all []Bar) {
	if len(all) == 0 {
		d.add(noBar)
	}
	for _, b := range all {
		d.bar(b)
	}
}

func (d *drawing) bar(b Bar) {
	columns, amount := 14, ""
	if d.width >= wide {
		columns, amount = 30, fmt.Sprintf(" %11s of %-11s", cli.Thousands(b.Done), cli.Thousands(b.Total))
	}
	share, percent := 0.0, ""
	if b.Total > 0 {
		share = min(float64(max(b.Done, 0))/float64(b.Total), 1)
		percent = fmt.Sprintf("%.0f %%", 100*share)
	}
	left := ""
	if b.ETA > 0 {
		left = b.ETA.Round(time.Second).String() + " left"
	}
	filled := d.paint.green(blocks(share, columns))
	if b.Failed {
		filled = d.paint.red(blocks(share, columns))
	}
	d.add(fmt.Sprintf(" %-21s%s%s %6s%s %8s/s %9s  %s", cli.Snip(b.Title, 20), filled, d.paint.dim(strings.Repeat("·", columns-text.StringWidth(blocks(share, columns)))),
		percent, amount, cli.Thousands(int64(b.PerSecond+0.5)), left, b.Phase))
}

// tell puts the story and the messages into so many lines: side by side where the screen is wide.
func (d *drawing) tell(story, messages []Line, height int) {
	if d.width < wide {
		told := min(height*2/3, 7)
		d.lines = append(d.lines, d.column(headline(wrap(story, d.width), told), told, d.width)...)
		d.lines = append(d.lines, d.column(newest(wrap(messages, d.width), height-told), height-told, d.width)...)
		return
	}
	half := d.width / 2
	left := d.column(headline(wrap(story, half), height), height, half)
	right := d.column(newest(wrap(messages, half), height), height, half)
	for n := range height {
		d.add(left[n] + right[n])
	}
}

// wrap makes several lines of one that is too wide.
func wrap(all []Line, width int) (narrow []Line) {
	const margin, more = 2, "  " // columns; before all but the first
	for _, line := range all {
		for n, part := range strings.Split(text.WrapSoft(cli.Printable(line.Text), max(width-margin-len(more), 1)), "\n") {
			if n > 0 {
				part = more + part
			}
			narrow = append(narrow, Line{strings.TrimRight(part, " "), line.Mark})
		}
	}
	return narrow
}

// headline returns the first line and, if not all lines fit, the newest.
func headline(all []Line, height int) []Line {
	if len(all) <= height || height == 0 {
		return newest(all, height)
	}
	return append([]Line{all[0]}, newest(all[1:], height-1)...)
}

func newest(all []Line, height int) []Line { return all[max(len(all)-height, 0):] }

// column returns exactly so many lines of exactly so many columns.
func (d *drawing) column(all []Line, height, width int) []string {
	lines := make([]string, height)
	for n := range lines {
		if n >= len(all) {
			lines[n] = strings.Repeat(" ", width)
			continue
		}
		plain := text.Pad(cli.Snip(" "+all[n].Text, width-1), width, ' ')
		switch all[n].Mark {
		case Good:
			plain = d.paint.green(plain)
		case Bad:
			plain = d.paint.red(plain)
		case Plain:
		}
		lines[n] = plain
	}
	return lines
}

func (d *drawing) keys(all []Key) []string {
	if len(all) == 0 {
		return nil
	}
	var line strings.Builder
	for _, key := range all {
		line.WriteString(" " + d.paint.bold("["+key.Press+"]") + " " + key.Does + " ")
	}
	return []string{line.String()}
}
