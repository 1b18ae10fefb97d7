package postgres

import (
	"fmt"
	"math"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// columnType is how Postgres keeps a kind of column, and how its values travel.
type columnType struct {
	name  string
	oid   uint32
	write func(e *encoder, value any) (fits bool)
	read  func(b []byte) any
}

// A nested value is json and no jsonb, which would not give back the text that it was given:
// keys in another order, numbers written in another way.
var columnTypes = map[projection.Kind]columnType{
	projection.Bool:  {"boolean", oidBool, writing((*encoder).bool), reading(readBool)},
	projection.Int:   {"bigint", oidInt8, writing((*encoder).int8), reading(readInt8)},
	projection.Float: {"double precision", oidFloat, writing((*encoder).float8), reading(readFloat8)},
	projection.Text:  {"text", oidText, writing((*encoder).text), reading(readText)},
	projection.Bytes: {"bytea", oidBytea, writing((*encoder).raw), reading(readBytes)},
	projection.Time:  {"timestamptz", oidTime, writing((*encoder).time), reading(readTime)},
	projection.JSON:  {"json", oidJSON, writing((*encoder).text), reading(readText)},
}

func writing[T any](write func(*encoder, T)) func(*encoder, any) bool {
	return func(e *encoder, value any) bool {
		v, fits := value.(T)
		if fits {
			write(e, v)
		}
		return fits
	}
}

func reading[T any](read func([]byte) T) func([]byte) any {
	return func(b []byte) any { return read(b) }
}

func readText(b []byte) string       { return string(b) }
func readBytes(b []byte) []byte      { return append([]byte{}, b...) } // never nil
func readFloat8(b []byte) float64    { return math.Float64frombits(uint64(readInt8(b))) }
func (e *encoder) float8(v float64)  { e.int8(int64(math.Float64bits(v))) }
func (e *encoder) time(at time.Time) { e.int8(at.UnixMicro() - epoch) }

// value appends one value of a column.
func (e *encoder) value(c projection.Column, value any) error {
	if value == nil {
		e.null()
		return nil
	}
	if !columnTypes[c.Kind].write(e, value) {
		return fmt.Errorf("column %s: a %T is no %s", c.Name, value, c.Kind)
	}
	return nil
}

// parameter returns a value of a column by itself.
func parameter(c projection.Column, value any) ([]byte, error) {
	var e encoder
	if err := e.value(c, value); err != nil {
		return nil, err
	}
	return e.b[4:], nil // without its length
}

// typesOfColumns returns the types of a model's columns.
func typesOfColumns(model projection.Model) []columnType {
	types := make([]columnType, len(model.Columns))
	for n, c := range model.Columns {
		types[n] = columnTypes[c.Kind]
	}
	return types
}

// readRow reads a row that selects the key and the columns.
func readRow(types []columnType, row [][]byte) projection.Row {
	values := make([]any, len(types))
	for n, t := range types {
		if b := row[n+1]; b != nil {
			values[n] = t.read(b)
		}
	}
	return projection.Row{Key: string(row[0]), Values: values}
}
