package projection

import (
	"encoding/json"
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
	key     int     // the field that holds the key, or -1
}

type field struct {
	index   int
	pointer bool
	kind    Kind
}

const maxColumnBytes = 63 // Postgres cuts longer identifiers

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
	return m, nil
}

func (m *mapping) add(index int, f reflect.StructField) error {
	tag := f.Tag.Get("leftfold")
	switch {
	case !f.IsExported() || tag == "-":
		return nil
	case tag == "key" && f.Type.Kind() != reflect.String:
		return fmt.Errorf("the key must be a string")
	case tag == "key" && m.key >= 0:
		return fmt.Errorf("there is a key already")
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
	m.columns = append(m.columns, Column{Name: name, Kind: kind, Nullable: pointer})
	m.fields = append(m.fields, field{index: index, pointer: pointer, kind: kind})
	return nil
}

func (m *mapping) checkName(name string) error {
	switch {
	case name == "key":
		return fmt.Errorf("the column name %q is reserved; tag the field `leftfold:\"key\"` if it is the key, else give another name", name)
	case len(name) > maxColumnBytes:
		return fmt.Errorf("the column name %q has %d bytes, the limit is %d", name, len(name), maxColumnBytes)
	case !validColumn(name):
		return fmt.Errorf("the column name %q is not usable: want letters, digits and _", name)
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

func (m *mapping) checkIndexes(indexes []string) error {
	for _, name := range indexes {
		n := slices.IndexFunc(m.columns, func(c Column) bool { return c.Name == name })
		switch {
		case n < 0:
			return fmt.Errorf("the index names column %q, which does not exist", name)
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
		return v.Float(), nil
	case Text:
		return v.String(), checkText(v.String())
	case Bytes:
		return append([]byte{}, v.Bytes()...), nil // nil would be NULL
	case Time:
		return v.Interface().(time.Time).UTC().Truncate(time.Microsecond), nil
	default:
		text, err := json.Marshal(v.Interface())
		return string(text), err
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
		return fmt.Errorf("text is not valid UTF-8")
	}
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("text holds a NUL character, which Postgres cannot store")
	}
	return nil
}

// decode sets the struct to the row.
func (m *mapping) decode(stored Row, row reflect.Value) error {
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
		v.Set(reflect.ValueOf(value))
	case string:
		if f.kind == JSON {
			return json.Unmarshal([]byte(value), v.Addr().Interface())
		}
		v.SetString(value)
	default:
		return fmt.Errorf("the sink returned a %T for kind %s", value, f.kind)
	}
	return nil
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
