package codec

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// checkShape reports the fields of an event that encoding/json would write and never
// read, or drop without a word. Both would be noticed after the event is in the log for
// ever: the stream could not be loaded any more, or has lost a fact.
func (d *definition) checkShape() {
	shape{d, map[reflect.Type]bool{}}.check(d.goType, d.goType.String())
}

type shape struct {
	of   *definition
	seen map[reflect.Type]bool
}

func (s shape) check(t reflect.Type, path string) {
	if s.seen[t] || decodesItself(t) {
		return
	}
	s.seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		s.check(t.Elem(), path)
	case reflect.Struct:
		s.checkFields(t, path)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			s.of.failf("%s is a %s, an interface: JSON does not say which type to read it back as; use a struct, or give it an UnmarshalJSON", path, t)
		}
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		s.of.failf("%s is a %s, which JSON cannot hold", path, t)
	}
}

func (s shape) checkFields(t reflect.Type, path string) {
	taken := map[string]string{}
	for field := range t.Fields() {
		tag := field.Tag.Get("json")
		if tag == "-" || !field.IsExported() && !field.Anonymous {
			continue
		}
		s.check(field.Type, path+"."+field.Name)
		name, _, _ := strings.Cut(tag, ",")
		if name == "" && field.Anonymous {
			continue // its fields stand among those of t
		}
		if name == "" {
			name = field.Name
		}
		if other, twice := taken[name]; twice {
			s.of.failf("%s.%s has the JSON name %q of %s: one of them would not be stored", path, field.Name, name, other)
		}
		taken[name] = field.Name
	}
}

// decodesItself reports whether the type says itself how it is read.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
