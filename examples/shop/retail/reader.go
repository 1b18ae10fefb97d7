package retail

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Header is the first line of an export.
const Header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

// Reader reads an export row by row, in memory that does not grow with the file.
//
// A quoted field may hold commas, doubled quotes and line breaks. A line whose quotes
// cannot be made sense of is one malformed row: the reader goes on with the next line,
// so that one stray quote does not swallow the rest of the file.
type Reader struct {
	lines   *bufio.Reader
	pending []string // lines that were looked at and not used
	line    int      // number of the line read last
	broken  []BrokenLine
	failed  error // why there are no more lines; the underlying reader may say it only once
}

// BrokenLine is a line whose quotes do not match. Its row came out as malformed.
type BrokenLine struct {
	Line int
	Err  error
}

// Placed is a row and the line it starts on.
type Placed struct {
	Row
	Line int
	raw  string
}

// ErrHeader: the file does not start with the header of an export.
var ErrHeader = errors.New("not an export of the till")

// maxLineBytes is how much of a line is kept, and so the most that a file without line
// ends can make us hold. A row is malformed long before.
const maxLineBytes = 64 << 10

// NewReader returns a reader after checking the header. A byte-order mark is skipped;
// a file without any content has no rows.
func NewReader(r io.Reader) (*Reader, error) {
	reader := &Reader{lines: bufio.NewReaderSize(r, maxLineBytes)}
	// Peek looks for a header before next looks for the end of a line: /dev/zero has none.
	if start, _ := reader.lines.Peek(maxHeaderBytes); len(start) == maxHeaderBytes && !bytes.ContainsRune(start, '\n') {
		return nil, notAnExport(string(start))
	}
	line, err := reader.next()
	for ; err == nil && strings.TrimPrefix(line, "\uFEFF") == ""; line, err = reader.next() {
		continue // nothing but a mark or an empty line
	}
	if errors.Is(err, io.EOF) {
		return reader, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	line = strings.TrimPrefix(line, "\uFEFF")
	fields, err := parse(line, false)
	if err != nil || !isHeader(fields) {
		return nil, notAnExport(line)
	}
	return reader, nil
}

const maxHeaderBytes = 1024

func notAnExport(firstLine string) error {
	return fmt.Errorf("%w: the first line is %.80q, want %s", ErrHeader, firstLine, Header)
}

func isHeader(fields []string) bool {
	return slices.EqualFunc(fields, strings.Split(Header, ","), func(got, want string) bool {
		return strings.EqualFold(strings.TrimSpace(got), want)
	})
}

// Broken returns the lines whose quotes do not match, among those read so far.
func (r *Reader) Broken() []BrokenLine { return r.broken }

// Rows yields every row. Empty lines are not rows. An error of the underlying reader
// comes last.
func (r *Reader) Rows() iter.Seq2[Placed, error] {
	return func(yield func(Placed, error) bool) {
		for {
			line, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Placed{}, fmt.Errorf("after line %d: %w", r.line, err))
				return
			}
			if line != "" && !yield(r.row(line), nil) {
				return
			}
		}
	}
}

// row returns the row that starts with the line, and takes further lines if a quoted
// field runs over them.
func (r *Reader) row(line string) Placed {
	start := r.line
	fields, err := parse(line, false)
	if err != nil {
		if whole, joined, ok := r.joined(line); ok {
			return Placed{newRow(joined, whole), start, whole}
		}
		// A lone quote inside a field, such as 12" RULER, is just a character.
		lazy, lazyErr := parse(line, true)
		if lazyErr != nil || len(lazy) != columns {
			r.broken = append(r.broken, BrokenLine{start, err})
			return Placed{Row{InvoiceNo: newRow(lazy, line).InvoiceNo, Malformed: "its quotes do not match", Text: newRow(nil, line).Text}, start, line}
		}
		fields = lazy
	}
	return Placed{newRow(fields, line), start, line}
}

// maxJoined is how many lines one row may take. It bounds what a stray quote costs.
const maxJoined = 16

// joined adds lines until the quotes match. If they never do, the lines are put back.
func (r *Reader) joined(line string) (whole string, fields []string, ok bool) {
	if strings.Count(line, `"`)%2 == 0 {
		return "", nil, false // more lines cannot help
	}
	whole = line
	var taken []string
	for len(taken) < maxJoined {
		more, err := r.next()
		if err != nil {
			break
		}
		taken = append(taken, more)
		whole += "\n" + more
		if fields, err := parse(whole, false); err == nil && len(fields) == columns {
			return whole, fields, true
		}
	}
	r.pending = append(taken, r.pending...)
	r.line -= len(taken)
	return "", nil, false
}

// next returns the next line without its end, and of one that is too long the beginning.
func (r *Reader) next() (string, error) {
	if len(r.pending) > 0 {
		line := r.pending[0]
		r.pending = r.pending[1:]
		r.line++
		return line, nil
	}
	if r.failed != nil {
		return "", r.failed
	}
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		line = append(line, part[:min(len(part), maxLineBytes-len(line))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)) {
			r.failed = err
			return "", err
		}
		r.line++
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
	}
}

// parse splits one record.
func parse(text string, lazyQuotes bool) ([]string, error) {
	if !strings.Contains(text, `"`) {
		return strings.Split(text, ","), nil // nearly every line; a csv.Reader has a buffer of 4 KiB
	}
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	c.LazyQuotes = lazyQuotes
	fields, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := c.Read(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is more than one record")
	}
	return fields, nil
}
