package jsonschema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

var (
	marshaler       = reflect.TypeFor[json.Marshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// describesItself is a type that says what its JSON is.
type describesItself interface{ JSONSchema() json.RawMessage }

// own returns the schema of a type whose JSON does not follow from its kind; nil for any other.
func (m maker) own(t reflect.Type) *Schema {
	if s, ok := m.set.given[t]; ok {
		return &Schema{given: s}
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return nil // its element says
	}
	if d, ok := reflect.TypeAssert[describesItself](reflect.New(t)); ok {
		return &Schema{given: d.JSONSchema()}
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return &Schema{Type: types{"string"}, Format: "date-time"}
	case reflect.TypeFor[json.Number]():
		return &Schema{Type: types{"number"}}
	case reflect.TypeFor[json.RawMessage]():
		return &Schema{}
	}
	return m.encoded(t)
}

// encoded is the schema of a type with methods of encoding/json's interfaces. Which of the
// methods of a pointer are called when a value is written depends on where the value stands, so
// nothing is said of it.
func (m maker) encoded(t reflect.Type) *Schema {
	json, text := marshaler, textMarshaler
	if m.side == Taken {
		json, text = unmarshaler, textUnmarshaler
	}
	p := reflect.PointerTo(t)
	switch {
	case p.Implements(json) || hasMethod(p, m.side):
		return unknown(t)
	case t.Implements(text) || m.side == Taken && p.Implements(text):
		return &Schema{Type: types{"string"}, Format: formatOf(t)}
	case p.Implements(text):
		return unknown(t)
	}
	return nil
}

// hasMethod reports whether the type has a method of encoding/json/v2, which is looked for by
// name: the interface is in a module that this package does not need.
func hasMethod(p reflect.Type, side Side) bool {
	_, has := p.MethodByName([...]string{Written: "MarshalJSONTo", Taken: "UnmarshalJSONFrom"}[side])
	return has
}

func unknown(t reflect.Type) *Schema {
	return &Schema{Description: fmt.Sprintf("%s encodes itself; give it a method JSONSchema() json.RawMessage to say how.", t)}
}

// formatOf tells a UUID from other texts, by how its zero value is written.
func formatOf(t reflect.Type) (format string) {
	defer func() { _ = recover() }() // a zero value may be none of the type's
	zero, ok := reflect.TypeAssert[encoding.TextMarshaler](reflect.Zero(t))
	if !ok || t.Kind() != reflect.Array {
		return ""
	}
	if text, err := zero.MarshalText(); err == nil && string(text) == "00000000-0000-0000-0000-000000000000" {
		return "uuid"
	}
	return ""
}

// encodesKeys reports whether a type of keys is written as text of its own.
func encodesKeys(key reflect.Type, side Side) bool {
	if side == Taken {
		return reflect.PointerTo(key).Implements(textUnmarshaler)
	}
	return key.Implements(textMarshaler)
}
