package projection

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

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
		if v.CanAddr() { // MarshalJSON may be declared on the pointer, as that of big.Int is
			v = v.Addr()
		}
		return encodeJSON(v.Interface())
	}
}

// encodeFloat refuses what has no order and what SQLite turns into NULL.
func encodeFloat(number float64) (any, error) {
	if math.IsNaN(number) {
		return nil, errors.New("not a number (NaN)")
	}
	return settledFloat(number), nil
}

// settledFloat returns the number without the sign of a zero, which SQLite drops.
func settledFloat(number float64) float64 {
	if number == 0 {
		return 0
	}
	return number
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
	if err != nil {
		return nil, err
	}
	return string(text), checkText(string(text)) // a json.RawMessage may hold any bytes in its strings
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
		if f.kind == Float {
			v.SetFloat(settledFloat(v.Float()))
			continue
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
