package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/leftfold/leftfold/cli/screen"
)

// Printer prints for people. No line of a table is wider than Width.
type Printer struct {
	Out   io.Writer
	Width int // columns
}

const plainWidth = 80 // where there is no terminal to ask

// NewPrinter prints to out, as wide as its terminal is.
func NewPrinter(out io.Writer) Printer {
	if width, ok := TerminalWidth(out); ok {
		return Printer{out, width}
	}
	return Printer{out, plainWidth}
}

// Row is a line of a table, or its header.
type Row = table.Row

// Table prints rows under a title. Columns after the first `left` hold numbers.
func (p Printer) Table(title string, left int, header Row, rows []Row) {
	t := table.NewWriter()
	t.SetOutputMirror(p.Out)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = text.FormatDefault
	t.Style().Size.WidthMax = p.Width
	t.Style().Box.UnfinishedRow = "…"
	t.SuppressTrailingSpaces()
	t.AppendHeader(header)
	t.AppendRows(rows)
	var columns []table.ColumnConfig
	for n := left + 1; n <= len(header); n++ {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	fmt.Fprintf(p.Out, "\n%s\n", title)
	t.Render()
}

// Line prints a line. On a terminal its end is cut off where that is narrower; elsewhere it is whole.
func (p Printer) Line(line string) error {
	if _, terminal := TerminalWidth(p.Out); terminal {
		line = Snip(line, p.Width)
	}
	_, err := fmt.Fprintln(p.Out, line)
	return err
}

// Text prints a sentence behind so many columns. On a terminal it is wrapped between words; elsewhere it is one line.
func (p Printer) Text(indent int, sentence string) {
	margin := strings.Repeat(" ", indent)
	if _, terminal := TerminalWidth(p.Out); terminal {
		sentence = text.WrapSoft(sentence, max(p.Width-indent, 10))
	}
	for line := range strings.SplitSeq(sentence, "\n") {
		fmt.Fprintln(p.Out, strings.TrimRight(margin+line, " "))
	}
}

// Snip cuts text that is wider than so many columns.
func Snip(s string, columns int) string { return text.Snip(s, columns, "…") }

// Printable keeps what a store or a file says from moving the cursor.
func Printable(said string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, said)
}

// Thousands writes a number with separators.
func Thousands[N ~int | ~int32 | ~int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// TerminalWidth returns how many columns there are, false if out is no terminal that
// can move its cursor, see [screen.Size].
func TerminalWidth(out io.Writer) (columns int, ok bool) {
	columns, _, ok = screen.Size(out)
	return columns, ok
}
