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

// maxGroupRows cuts a group that would be too large for one append.
const maxGroupRows = 5000

// Groups yields the rows as groups.
func (r *Reader) Groups() iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		seen := map[string]int{}
		var group Group
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
				if flush() {
					yield(Group{}, err)
				}
				return
			}
			if (row.InvoiceNo != group.InvoiceNo || len(group.Rows) == maxGroupRows) && !flush() {
				return
			}
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
