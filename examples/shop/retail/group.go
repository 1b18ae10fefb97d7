package retail

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
)

// Group is consecutive rows of one invoice: what the till wrote in one go, and what
// becomes one command.
type Group struct {
	InvoiceNo string
	Rows      []Placed
	// ID is the same for the same rows in the same file, however often they are read: a
	// SHA-256 of the invoice number, the raw rows, and how many identical groups stand
	// before this one in the file.
	ID string
}

// A group that would be too large for one append is cut. Escaped in JSON, a byte of a row
// can take six.
const (
	maxGroupRows  = 5000
	maxGroupBytes = 8 << 20
)

// Groups yields the rows as groups. An error of the underlying reader comes last, in the
// place of the group that it interrupts.
func (r *Reader) Groups() iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		seen := map[string]int{}
		var group Group
		bytes := 0 // of the group's raw rows
		flush := func() bool {
			if len(group.Rows) == 0 {
				return true
			}
			content := group.hash(0)
			group.ID = group.hash(seen[content])
			seen[content]++
			full := group
			group = Group{}
			return yield(full, nil)
		}
		for row, err := range r.Rows() {
			if err != nil {
				// Not the rows before it: if the invoice goes on behind the error, half of it is
				// another command than all of it, and its rows would be settled twice.
				yield(Group{}, err)
				return
			}
			full := len(group.Rows) == maxGroupRows || bytes+len(row.raw) > maxGroupBytes
			if (row.InvoiceNo != group.InvoiceNo || full) && !flush() {
				return
			}
			if len(group.Rows) == 0 {
				bytes = 0
			}
			bytes += len(row.raw)
			group.InvoiceNo = row.InvoiceNo
			group.Rows = append(group.Rows, row)
		}
		flush()
	}
}

func (g Group) hash(before int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s;%d;%d;", len(g.InvoiceNo), g.InvoiceNo, before, len(g.Rows))
	for _, row := range g.Rows {
		fmt.Fprintf(h, "%d:%s;", len(row.raw), row.raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Values returns the rows without their places.
func (g Group) Values() []Row {
	rows := make([]Row, len(g.Rows))
	for n, placed := range g.Rows {
		rows[n] = placed.Row
	}
	return rows
}
