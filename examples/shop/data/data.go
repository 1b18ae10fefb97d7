// Package data holds twelve days of a real shop's invoices. README.md beside it has
// the source and the licence (CC BY 4.0).
package data

import (
	"bytes"
	_ "embed"
)

//go:embed 2010-12-01_12.csv
var orders []byte

// Name is the name of the bundled file.
const Name = "2010-12-01_12.csv"

// Open returns the bundled file.
func Open() *bytes.Reader { return bytes.NewReader(orders) }
