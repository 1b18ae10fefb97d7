package plot

import (
	"fmt"
	"html"
	"io"
	"math"
)

// Bars is a chart of grouped bars over a logarithmic axis.
type Bars struct {
	Title  string
	Axis   string   // what the height means, with its unit
	Groups []string // below the bars
	Across string   // what the groups are
	Series []Series
}

// Series is one bar in each group.
type Series struct {
	Name   string
	Values []float64 // one a group; 0: no bar
}

// scale is a logarithmic axis from one power of ten to another.
type scale struct {
	low, high   float64 // exponents of ten
	top, bottom float64 // where they lie
}

// newScale takes in every value and starts a little below the lowest: on a logarithmic axis
// there is no zero.
func newScale(series []Series, top, bottom float64) scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for _, v := range s.Values {
			if v > 0 {
				low, high = math.Min(low, math.Log10(v)), math.Max(high, math.Log10(v))
			}
		}
	}
	if high < low {
		low, high = 0, 1
	}
	s := scale{low: math.Floor(low), high: math.Ceil(high), top: top, bottom: bottom}
	if s.high <= s.low {
		s.high = s.low + 1
	}
	return s
}

func (s scale) y(value float64) float64 {
	part := (math.Log10(value) - s.low) / (s.high - s.low)
	return s.bottom - math.Max(part, 0)*(s.bottom-s.top)
}

// box is where something is drawn.
type box struct{ x, y, width, height float64 }

func (b Bars) write(w io.Writer, at box) {
	text(w, at.x, at.y+14, "panel", "start", b.Title)
	text(w, at.x, at.y+34, "faint", "start", b.Axis)
	plot := box{at.x + 44, at.y + 50, at.width - 44, at.height - 96}
	axis := newScale(b.Series, plot.y, plot.y+plot.height)
	b.grid(w, plot, axis)
	group := plot.width / float64(max(len(b.Groups), 1))
	for g, name := range b.Groups {
		b.group(w, box{plot.x + float64(g)*group, plot.y, group, plot.height}, axis, g)
		text(w, plot.x+(float64(g)+0.5)*group, plot.y+plot.height+18, "", "middle", name)
	}
	text(w, plot.x+plot.width/2, plot.y+plot.height+38, "faint", "middle", b.Across)
}

func (b Bars) grid(w io.Writer, plot box, axis scale) {
	for exponent := axis.low; exponent <= axis.high; exponent++ {
		y := axis.y(math.Pow(10, exponent))
		fmt.Fprintf(w, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", plot.x, y, plot.x+plot.width, y)
		text(w, plot.x-8, y+4, "faint", "end", Short(math.Pow(10, exponent)))
	}
}

// group draws the bars of one group. The value above ours comes last, so that no bar
// covers it.
func (b Bars) group(w io.Writer, at box, axis scale, g int) {
	const gap = 0.16 // of the group, empty between it and the next
	width := at.width * (1 - gap) / float64(len(b.Series))
	for n, series := range b.Series {
		if g >= len(series.Values) || series.Values[g] <= 0 {
			continue
		}
		value := series.Values[g]
		x, y := at.x+at.width*gap/2+float64(n)*width, axis.y(value)
		fmt.Fprintf(w, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"1.5\" fill=\"%s\"><title>%s: %s</title></rect>\n",
			x, y, math.Max(width-1.5, 1), axis.bottom-y, palette[n%len(palette)], html.EscapeString(series.Name), Short(value))
	}
	if ours := b.Series[0].Values; g < len(ours) && ours[g] > 0 {
		text(w, at.x+at.width*gap/2+width-1, axis.y(ours[g])-5, "value", "end", Short(ours[g]))
	}
}

// Short writes a number as people say it: 52.3k, 1.1M.
func Short(v float64) string {
	switch {
	case v >= 1e6:
		return trimmed(v/1e6) + "M"
	case v >= 1e3:
		return trimmed(v/1e3) + "k"
	default:
		return trimmed(v)
	}
}

func trimmed(v float64) string {
	if v >= 100 || v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func text(w io.Writer, x, y float64, class, anchor, content string) {
	fmt.Fprintf(w, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", class, x, y, anchor, html.EscapeString(content))
}
