package projection

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	if kind == Time || kind == Bytes {
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
	default:
		return true
	}
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

// encode returns the row of a struct.
func (m *mapping) encode(key string, row reflect.Value) (Row, error) {
	if err := checkText(key); err != nil {
		return Row{}, fmt.Errorf("key %q: %w", key, err)
	}
	values := make([]any, len(m.fields))
	for n, f := range m.fields {
		value, err := f.encode(row.Field(f.index))
		if err != nil {
			return Row{}, fmt.Errorf("column %s of row %q: %w", m.columns[n].Name, key, err)
		}
		values[n] = value
	}
	return Row{Key: key, Values: values}, nil
}

func (f field) encode(v reflect.Value) (any, error) {
	if f.pointer {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	switch f.kind {
	case Bool:
		return v.Bool(), nil
	case Int:
		return encodeInt(v)
	case Float:
		return encodeFloat(v.Float())
	case Text:
		return v.String(), checkText(v.String())
	case Bytes:
		return append([]byte{}, v.Bytes()...), nil // nil would be NULL
	case Time:
		return encodeTime(v.Interface().(time.Time))
	default:
		return encodeJSON(v.Interface())
	}
}

// encodeFloat refuses what has no order and what SQLite turns into NULL.
func encodeFloat(number float64) (any, error) {
	if math.IsNaN(number) {
		return nil, errors.New("not a number (NaN)")
	}
	return number, nil
}

// encodeTime keeps to the years that JSON and every database can write down.
func encodeTime(at time.Time) (any, error) {
	at = settledTime(at)
	if at.Year() < 1 || at.Year() > 9999 {
		return nil, fmt.Errorf("the time %v lies outside the years 1 to 9999", at)
	}
	return at, nil
}

func settledTime(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

// encodeJSON runs the user's MarshalJSON, which may panic.
func encodeJSON(value any) (encoded any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	text, err := json.Marshal(value)
	return string(text), err
}

// decodeJSON runs the user's UnmarshalJSON, likewise.
func decodeJSON(text string, into any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return json.Unmarshal([]byte(text), into)
}

// settle gives the row the values that a sink would give back, so that a fold cannot see
// where a window of events ended. Were it not for this, a time that a fold stored with
// nanoseconds would lose them only if the next event of the row came in another window,
// and a rebuild, which has other windows, could give other rows.
func (m *mapping) settle(row reflect.Value) {
	for _, f := range m.settled {
		v := row.Field(f.index)
		if f.pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		switch value := v.Addr().Interface().(type) {
		case *time.Time:
			*value = settledTime(*value)
		case *[]byte:
			if len(*value) == 0 {
				*value = nil
			}
		}
	}
}

func encodeInt(v reflect.Value) (any, error) {
	if v.CanInt() {
		return v.Int(), nil
	}
	if v.Uint() > math.MaxInt64 {
		return nil, fmt.Errorf("%d does not fit into 63 bits", v.Uint())
	}
	return int64(v.Uint()), nil
}

func checkText(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("text is not valid UTF-8")
	}
	if strings.ContainsRune(text, 0) {
		return errors.New("text holds a NUL character, which Postgres cannot store")
	}
	return nil
}

// decode sets the struct to the row.
func (m *mapping) decode(stored Row, row reflect.Value) error {
	if len(stored.Values) != len(m.columns) {
		return fmt.Errorf("row %q: the sink returned %d values for %d columns", stored.Key, len(stored.Values), len(m.columns))
	}
	m.setKey(stored.Key, row)
	for n, f := range m.fields {
		if err := f.decode(stored.Values[n], row.Field(f.index)); err != nil {
			return fmt.Errorf("column %s of row %q: %w", m.columns[n].Name, stored.Key, err)
		}
	}
	return nil
}

func (m *mapping) setKey(key string, row reflect.Value) {
	if m.key >= 0 {
		row.Field(m.key).SetString(key)
	}
}

func (f field) decode(value any, v reflect.Value) error {
	if value == nil {
		v.SetZero()
		return nil
	}
	if !f.kind.holds(value) {
		return fmt.Errorf("the sink returned a %T for kind %s", value, f.kind)
	}
	if f.pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch value := value.(type) {
	case bool:
		v.SetBool(value)
	case int64:
		return decodeInt(value, v)
	case float64:
		v.SetFloat(value)
	case []byte:
		v.SetBytes(append([]byte(nil), value...))
	case time.Time:
		v.Set(reflect.ValueOf(settledTime(value)))
	case string:
		if f.kind == JSON {
			return decodeJSON(value, v.Addr().Interface())
		}
		v.SetString(value)
	}
	return nil
}

// holds reports whether a value in a [Row] is of the kind.
func (k Kind) holds(value any) bool {
	switch value.(type) {
	case bool:
		return k == Bool
	case int64:
		return k == Int
	case float64:
		return k == Float
	case string:
		return k == Text || k == JSON
	case []byte:
		return k == Bytes
	case time.Time:
		return k == Time
	default:
		return false
	}
}

func decodeInt(value int64, v reflect.Value) error {
	if v.CanInt() {
		if v.OverflowInt(value) {
			return fmt.Errorf("%d does not fit into %v", value, v.Type())
		}
		v.SetInt(value)
		return nil
	}
	if value < 0 || v.OverflowUint(uint64(value)) {
		return fmt.Errorf("%d does not fit into %v", value, v.Type())
	}
	v.SetUint(uint64(value))
	return nil
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
