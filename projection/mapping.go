package projection

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// mapping translates between a struct and the values of a [Row], see [Model].
type mapping struct {
	columns []Column
	fields  []field // one for each column
	settled []field // those that [mapping.settle] has to look at
	key     int     // the field that holds the key, or -1
}

type field struct {
	index   int
	pointer bool
	kind    Kind
}

const maxColumnBytes = 63 // Postgres cuts longer identifiers

// systemColumns are in every table of Postgres, whatever it declares.
var systemColumns = []string{"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}

func newMapping(row reflect.Type) (*mapping, error) {
	if row.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the row type %v is not a struct", row)
	}
	m := &mapping{key: -1}
	for index := range row.NumField() {
		if err := m.add(index, row.Field(index)); err != nil {
			return nil, fmt.Errorf("field %s of %v: %w", row.Field(index).Name, row, err)
		}
	}
	if len(m.columns) == 0 {
		return nil, fmt.Errorf("the row type %v has no columns: they are its exported fields, and the key is none", row)
	}
	return m, nil
}

func (m *mapping) add(index int, f reflect.StructField) error {
	tag := f.Tag.Get("leftfold")
	switch {
	case tag == "-":
		return nil
	case f.Anonymous:
		return errors.New("embedded fields are no columns; give it a name, or leave it out by the tag `leftfold:\"-\"`")
	case !f.IsExported():
		return nil
	case tag == "key" && f.Type.Kind() != reflect.String:
		return errors.New("the key must be a string")
	case tag == "key" && m.key >= 0:
		return errors.New("there is a key already")
	case tag == "key":
		m.key = index
		return nil
	}
	name := tag
	if name == "" {
		name = snakeCase(f.Name)
	}
	kind, pointer := kindOf(f.Type)
	if err := m.checkName(name); err != nil {
		return err
	}
	if !storable(f.Type) {
		return fmt.Errorf("a %v cannot be stored; leave it out by the tag `leftfold:\"-\"`", f.Type)
	}
	column := field{index: index, pointer: pointer, kind: kind}
	m.columns = append(m.columns, Column{Name: name, Kind: kind, Nullable: pointer})
	m.fields = append(m.fields, column)
	if kind == Time || kind == Bytes || kind == Float {
		m.settled = append(m.settled, column)
	}
	return nil
}

// storable reports whether JSON, the last resort, knows the type both ways.
func storable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer:
		return storable(t.Elem())
	case reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Struct:
		return visible(t)
	default:
		return true
	}
}

// visible reports whether JSON writes down anything of the struct. Of an atomic.Int64, or of
// a type made from time.Time, it would store {} and lose the value without a word.
func visible(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	if p.Implements(reflect.TypeFor[json.Marshaler]()) || p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return true
	}
	for f := range t.Fields() {
		if f.IsExported() || f.Anonymous {
			return true
		}
	}
	return t.NumField() == 0
}

func (m *mapping) checkName(name string) error {
	switch {
	case name == "key":
		return fmt.Errorf("the column name %q is reserved; tag the field `leftfold:\"key\"` if it is the key, else give another name", name)
	case slices.Contains(systemColumns, name):
		return fmt.Errorf("the column name %q is reserved by Postgres; give another name by the tag `leftfold:\"name\"`", name)
	case len(name) > maxColumnBytes:
		return fmt.Errorf("the column name %q has %d bytes, the limit is %d", name, len(name), maxColumnBytes)
	case !validColumn(name):
		return fmt.Errorf("the column name %q is not usable: want a lower-case letter or _, then lower-case letters, digits and _", name)
	case slices.ContainsFunc(m.columns, func(c Column) bool { return c.Name == name }):
		return fmt.Errorf("there is a column %q already", name)
	}
	return nil
}

func validColumn(name string) bool {
	return name != "" && !unicode.IsDigit(rune(name[0])) && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

func (m *mapping) column(name string) Column {
	return m.columns[slices.IndexFunc(m.columns, func(c Column) bool { return c.Name == name })]
}

func (m *mapping) checkIndexes(indexes []string) error {
	for nth, name := range indexes {
		n := slices.IndexFunc(m.columns, func(c Column) bool { return c.Name == name })
		switch {
		case n < 0:
			return fmt.Errorf("the index names column %q, which does not exist", name)
		case slices.Contains(indexes[:nth], name):
			return fmt.Errorf("column %q is indexed twice", name)
		case m.columns[n].Nullable || m.columns[n].Kind == JSON:
			return fmt.Errorf("the index names column %q, which has no order: it is a pointer or a nested value", name)
		}
	}
	return nil
}

func kindOf(t reflect.Type) (kind Kind, pointer bool) {
	if t.Kind() == reflect.Pointer {
		kind, nested := kindOf(t.Elem())
		if nested {
			kind = JSON
		}
		return kind, true
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return Time, false
	case t == reflect.TypeFor[[]byte]():
		return Bytes, false
	}
	switch t.Kind() {
	case reflect.Bool:
		return Bool, false
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Int, false
	case reflect.Float32, reflect.Float64:
		return Float, false
	case reflect.String:
		return Text, false
	default:
		return JSON, false
	}
}

func (m *mapping) setKey(key string, row reflect.Value) {
	if m.key >= 0 {
		row.Field(m.key).SetString(key)
	}
}

// snakeCase returns the column name of a field: GrossPence -> gross_pence,
// CustomerID -> customer_id, HTTPStatus -> http_status.
func snakeCase(name string) string {
	var out strings.Builder
	runes := []rune(name)
	for n, r := range runes {
		if unicode.IsUpper(r) && n > 0 {
			afterLower := !unicode.IsUpper(runes[n-1])
			beforeLower := n+1 < len(runes) && unicode.IsLower(runes[n+1])
			if (afterLower || beforeLower) && runes[n-1] != '_' {
				out.WriteByte('_')
			}
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
