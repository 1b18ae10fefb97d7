package jsonschema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// maker makes the schemas of one side.
type maker struct {
	set  *Set
	side Side
}

// value returns the schema of a value of the type, null included where Go's nil is one. The path
// leads to it, for errors.
func (m maker) value(t reflect.Type, path string) (*Schema, error) {
	s, err := m.present(t, path)
	if err != nil || !isNilable(t) {
		return s, err
	}
	return s.orNull(), nil
}

func isNilable(t reflect.Type) bool {
	kind := t.Kind()
	return kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map
}

// present returns the schema of a value that is not nil.
func (m maker) present(t reflect.Type, path string) (*Schema, error) {
	if s := m.own(t); s != nil {
		return s, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.value(t.Elem(), path) // a pointer may lead to a nil
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Array:
		if t.Name() != "" {
			return m.reference(t, path)
		}
		return m.composite(t, path)
	case reflect.Interface:
		if m.side == Taken && t.NumMethod() > 0 {
			return nil, fmt.Errorf("%s is an %s, an interface: JSON does not say which type to read it back as", path, t)
		}
		return &Schema{}, nil
	default:
		return scalar(t, path)
	}
}

func scalar(t reflect.Type, path string) (*Schema, error) {
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: types{"boolean"}}, nil
	case reflect.String:
		return &Schema{Type: types{"string"}}, nil
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: types{"number"}}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		least := int64(math.MinInt64) >> (64 - t.Bits())
		return integer(t, strconv.FormatInt(least, 10), strconv.FormatInt(^least, 10)), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return integer(t, "0", strconv.FormatUint(math.MaxUint64>>(64-t.Bits()), 10)), nil
	default:
		return nil, fmt.Errorf("%s is a %s, which JSON cannot hold", path, t)
	}
}

func integer(t reflect.Type, least, most string) *Schema {
	s := &Schema{Type: types{"integer"}}
	s.Minimum, s.Maximum = json.Number(least), json.Number(most)
	switch t.Kind() {
	case reflect.Int32:
		s.Format = "int32"
	case reflect.Int, reflect.Int64:
		s.Format = "int64"
	}
	return s
}

// reference defines the type, if it is not yet defined, and refers to it. The name is taken
// before the schema is made, so that a type that contains itself finds it.
func (m maker) reference(t reflect.Type, path string) (*Schema, error) {
	u := use{t, m.side}
	name, known := m.set.names[u]
	if !known {
		name = m.set.name(u)
		defined := &Schema{}
		m.set.names[u] = name
		m.set.definitions.put(name, defined)
		s, err := m.composite(t, path)
		if err != nil {
			return nil, err
		}
		*defined = *s
	}
	return &Schema{Ref: m.set.prefix + name}, nil
}

func (m maker) composite(t reflect.Type, path string) (*Schema, error) {
	switch {
	case t.Kind() == reflect.Struct:
		return m.object(t, path)
	case t.Kind() == reflect.Map:
		return m.mapping(t, path)
	case isBytes(t):
		return &Schema{Type: types{"string"}, ContentEncoding: "base64"}, nil
	}
	items, err := m.value(t.Elem(), path+"[]")
	if err != nil {
		return nil, err
	}
	s := &Schema{Type: types{"array"}, Items: items}
	if t.Kind() == reflect.Array {
		s.MinItems, s.MaxItems = new(t.Len()), new(t.Len())
	}
	return s, nil
}

func (m maker) mapping(t reflect.Type, path string) (*Schema, error) {
	values, err := m.value(t.Elem(), path+"[]")
	if err != nil {
		return nil, err
	}
	s := &Schema{Type: types{"object"}, Additional: values}
	switch key := t.Key(); {
	case encodesKeys(key, m.side) || key.Kind() == reflect.String:
	case key.Kind() >= reflect.Int && key.Kind() <= reflect.Int64:
		s.PropertyNames = &Schema{Pattern: "^-?[0-9]+$"}
	case key.Kind() >= reflect.Uint && key.Kind() <= reflect.Uintptr:
		s.PropertyNames = &Schema{Pattern: "^[0-9]+$"}
	default:
		return nil, fmt.Errorf("%s has keys of type %s, which JSON cannot hold", path, key)
	}
	return s, nil
}

func (m maker) object(t reflect.Type, path string) (*Schema, error) {
	s := &Schema{Type: types{"object"}}
	for _, f := range fieldsOf(t) {
		schema, err := m.field(f, path+"."+f.goName)
		if err != nil {
			return nil, err
		}
		s.Properties = cmp.Or(s.Properties, &Properties{})
		s.Properties.put(f.name, schema)
		if m.side == Written && !f.mayBeAbsent {
			s.Required = append(s.Required, f.name)
		}
	}
	if m.side == Taken {
		s.Additional = &Schema{never: true}
	}
	return s, nil
}

// field is never null where nil is left out.
func (m maker) field(f field, path string) (*Schema, error) {
	s, err := m.present(f.t, path)
	switch {
	case err != nil:
		return nil, err
	case f.quoted:
		s = &Schema{Type: types{"string"}}
	}
	if !isNilable(f.t) || m.side == Written && f.nilIsAbsent {
		return s, nil
	}
	return s.orNull(), nil
}

// isBytes reports whether a slice is written as base64.
func isBytes(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 {
		return false
	}
	p := reflect.PointerTo(t.Elem())
	return !slices.ContainsFunc([]reflect.Type{marshaler, textMarshaler}, p.Implements)
}
