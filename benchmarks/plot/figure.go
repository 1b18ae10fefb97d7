package plot

import (
	"fmt"
	"html"
	"io"
)

// Figure is two charts, one above the other, with a common legend, and a table beside each.
type Figure struct {
	Title    string
	Subtitle string
	Charts   [2]Bars // with the same series
	Tables   [2]Table
}

// Table is a small table.
type Table struct {
	Title  string
	Note   string
	Header []string
	Rows   []Row
}

// Row is a line of a table. Its first cell is set left, the others right, and the second
// stands out: in the colour of an alarm if the row is bad.
type Row struct {
	Cells []string
	Bad   bool
}

const (
	figureWidth  = 1200
	figureHeight = 860
	margin       = 28
	chartWidth   = 770
	chartHeight  = 350
	rowHeight    = 26
)

// Write writes the SVG.
func (f Figure) Write(w io.Writer) {
	fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n",
		figureWidth, figureHeight, figureWidth, figureHeight)
	fmt.Fprintf(w, "<title>%s</title>\n", html.EscapeString(f.Title))
	fmt.Fprint(w, style)
	fmt.Fprintf(w, "<rect class=\"ground\" width=\"%d\" height=\"%d\"/>\n", figureWidth, figureHeight)
	text(w, margin, 38, "title", "start", f.Title)
	text(w, margin, 60, "faint", "start", f.Subtitle)
	f.legend(w, margin, 88)
	for n := range f.Charts {
		y := float64(118 + n*(chartHeight+20))
		f.Charts[n].write(w, box{margin, y, chartWidth, chartHeight})
		f.Tables[n].write(w, box{margin + chartWidth + 40, y, figureWidth - chartWidth - 2*margin - 40, chartHeight})
	}
	fmt.Fprintln(w, "</svg>")
}

func (f Figure) legend(w io.Writer, x, y float64) {
	const perLetter, between = 7.2, 34
	for n, series := range f.Charts[0].Series {
		fmt.Fprintf(w, "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" rx=\"2\" fill=\"%s\"/>\n", x, y-10, palette[n%len(palette)])
		text(w, x+18, y, "", "start", series.Name)
		x += float64(len(series.Name))*perLetter + between
	}
}

func (t Table) write(w io.Writer, at box) {
	text(w, at.x, at.y+14, "panel", "start", t.Title)
	text(w, at.x, at.y+34, "faint", "start", t.Note)
	y := at.y + 66
	t.row(w, at, y, t.Header, func(int) string { return "faint" })
	for _, row := range t.Rows {
		fmt.Fprintf(w, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", at.x, y+8, at.x+at.width, y+8)
		y += rowHeight
		t.row(w, at, y, row.Cells, row.class)
	}
}

func (r Row) class(column int) string {
	switch {
	case column != 1:
		return ""
	case r.Bad:
		return "bad"
	default:
		return "good"
	}
}

func (t Table) row(w io.Writer, at box, y float64, cells []string, class func(column int) string) {
	const first = 100 // wide enough for a system's name
	for n, cell := range cells {
		if n == 0 {
			text(w, at.x, y, class(n), "start", cell)
			continue
		}
		column := (at.width - first) / float64(max(len(cells)-1, 1))
		text(w, at.x+first+float64(n)*column, y, class(n), "end", cell)
	}
}
