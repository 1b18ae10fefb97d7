package show

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/leftfold/leftfold/cli"
)

// paint gives text colour, or does not. The colours are those of 16 that can be read on light and on dark
// grounds; what they say is said by words too.
type paint bool

func (p paint) red(s string) string   { return p.with("31", s) }
func (p paint) green(s string) string { return p.with("32", s) }
func (p paint) bold(s string) string  { return p.with("1", s) }
func (p paint) dim(s string) string   { return p.with("2", s) }

func (p paint) with(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// fit cuts a line that is too wide.
func (p paint) fit(line string, width int) string {
	if text.StringWidthWithoutEscSequences(line) <= width {
		return strings.TrimRight(line, " ")
	}
	cut := cli.Snip(line, width)
	if p {
		cut += "\x1b[0m" // its end may be what was cut
	}
	return cut
}

// spark draws how something went, the newest to the right, in so many columns.
func spark(values []float64, columns int) string {
	values = values[max(len(values)-columns, 0):]
	levels := []rune("▁▂▃▅▆▇")
	var line strings.Builder
	line.WriteString(strings.Repeat(" ", columns-len(values)))
	most := 0.0
	if len(values) > 0 {
		most = slices.Max(values)
	}
	for _, value := range values {
		level := 0
		if most > 0 {
			level = min(max(int(value/most*float64(len(levels))), 0), len(levels)-1)
		}
		line.WriteRune(levels[level])
	}
	return line.String()
}

// blocks fills a share of so many columns, to an eighth of one.
func blocks(share float64, columns int) string {
	eighths := int(share * float64(columns) * 8)
	parts := []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}
	return strings.Repeat("█", eighths/8) + parts[eighths%8]
}

// brief writes how long something takes in at most 8 columns, and rather less exactly than wider.
func brief(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < 100*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return cli.Thousands(int64(d.Seconds())) + " s"
}
