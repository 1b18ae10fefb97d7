package projection

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
)

// Generation is one build of a read model.
type Generation struct {
	Name    string // a lower-case letter, then letters, digits or _, at most 48 in all
	Version int    // from 1
}

// String returns "name@version".
func (g Generation) String() string { return fmt.Sprintf("%s@%d", g.Name, g.Version) }

// Names become table names and key prefixes, with a version behind them, and
// Postgres cuts identifiers at 63 bytes.
var validName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// Validate checks name and version.
func (g Generation) Validate() error {
	if !validName.MatchString(g.Name) {
		return fmt.Errorf("the name %q is not usable: want a lower-case letter, then letters, digits or _, at most 48 in all", g.Name)
	}
	if g.Version < 1 {
		return fmt.Errorf("the version is %d: want 1 or more", g.Version)
	}
	return nil
}

// Model describes a read model to a sink. For a [Handler] it has no columns: the
// sink keeps the checkpoint only.
//
// A row of a View has its key and one value per column. The columns are R's exported
// fields in their order, named in snake_case or by the tag `leftfold:"name"`; "-"
// leaves a field out. A string field tagged "key" holds the row's key; without one the
// row has its key all the same, and the struct does not show it.
//
//	Go field                          Kind    value in a Row
//	bool                              Bool    bool
//	int…, uint… (≤ 2^63−1)            Int     int64
//	float32, float64 (no NaN)         Float   float64
//	string (UTF-8, no NUL)            Text    string
//	[]byte (nil and empty are one)    Bytes   []byte, not nil
//	time.Time (µs, UTC, years 1–9999) Time    time.Time
//	anything else                     JSON    string, as encoding/json writes it
//
// A pointer to one of these is nullable: nil, or the value. A value that breaks a limit
// stops the projection with an error that names column and row.
type Model struct {
	Generation
	Columns []Column
	Indexes []string // columns that rows are listed by
	Hash    string   // of the definition; the same generation always has the same hash. Empty where it is not known: to read, to skip
}

// Column is one column of a view's row.
type Column struct {
	Name     string
	Kind     Kind
	Nullable bool
}

// Kind is the type of a column's values.
type Kind string

// The kinds of columns, see [Model].
const (
	Bool  Kind = "bool"
	Int   Kind = "int"
	Float Kind = "float"
	Text  Kind = "text"
	Bytes Kind = "bytes"
	Time  Kind = "time"
	JSON  Kind = "json"
)

// Column returns the index of the named column, or -1.
func (m Model) Column(name string) int {
	return slices.IndexFunc(m.Columns, func(c Column) bool { return c.Name == name })
}

// Row is one row of a view: its key, and its values in the order of [Model].Columns.
type Row struct {
	Key    string
	Values []any
}

// Change is a row to write or, if Deleted, the key of a row to remove.
type Change struct {
	Row
	Deleted bool
}

// hashOf makes the hash of a definition from its lines.
func hashOf(lines ...string) string {
	h := sha256.New()
	for _, line := range lines {
		fmt.Fprintf(h, "%d:%s\n", len(line), line)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
