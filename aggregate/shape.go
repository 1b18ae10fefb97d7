package aggregate

import (
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/leftfold/leftfold/eventstore/codec"
)

// newShape returns the shape of a fold. The text it hashes may change from release to release:
// that costs no more than one fold of each stream.
func newShape(foldVersion int, state layout, events *codec.Set) Shape {
	var text strings.Builder
	fmt.Fprintf(&text, "json\nfold %d\nstate %s\n", foldVersion, state)
	for _, event := range events.Types() {
		fmt.Fprintf(&text, "event %q %d\n", event.Name, event.SchemaVersion)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return Shape(sum[:16])
}

// layout describes a type as its encoded form sees it: the names and kinds of fields, not the
// names of Go types, which may be renamed.
type layout string

// layoutOf returns the layout of a state, or an error that names the part of it that would be
// lost, or could not be read back: encoding/json is the encoding.
func layoutOf(state reflect.Type) (layout, error) {
	l := layouter{seen: map[reflect.Type]bool{}}
	text, err := l.of(state, state.String())
	return layout(text), err
}

type layouter struct{ seen map[reflect.Type]bool }

func (l layouter) of(t reflect.Type, path string) (string, error) {
	if encodesItself(t) {
		return t.PkgPath() + "." + t.Name(), nil
	}
	if l.seen[t] && t.Name() != "" {
		return "again " + t.PkgPath() + "." + t.Name(), nil // a type that holds itself
	}
	l.seen[t] = true
	switch t.Kind() {
	case reflect.Struct:
		return l.ofStruct(t, path)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		elem, err := l.of(t.Elem(), path)
		length := ""
		if t.Kind() == reflect.Array {
			length = fmt.Sprint(t.Len())
		}
		return t.Kind().String() + length + "(" + elem + ")", err
	case reflect.Map:
		return l.ofMap(t, path)
	case reflect.Interface:
		return "", fmt.Errorf("%s is a %s, an interface: its value could not be read back as what it was", path, t)
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		return "", fmt.Errorf("%s is a %s, which cannot be encoded", path, t)
	default:
		return t.Kind().String(), nil
	}
}

func (l layouter) ofStruct(t reflect.Type, path string) (string, error) {
	var fields []string
	names := map[string]string{}
	for field := range t.Fields() {
		path := path + "." + field.Name
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case !field.IsExported():
			return "", fmt.Errorf("%s is unexported, so it would be lost: export it", path)
		case tag == "-":
			return "", fmt.Errorf(`%s has the tag json:"-", so it would be lost`, path)
		case field.Anonymous && name == "":
			return "", fmt.Errorf(`%s is embedded: give it a name, or a tag such as json:%q, so that its fields hide no others`, path, field.Name)
		case name == "":
			name = field.Name
		}
		if other, twice := names[name]; twice {
			return "", fmt.Errorf("%s has the JSON name %q of %s: one of them would be lost", path, name, other)
		}
		names[name] = field.Name
		inner, err := l.of(field.Type, path)
		if err != nil {
			return "", err
		}
		fields = append(fields, fmt.Sprintf("%s %q %s", field.Name, tag, inner))
	}
	return "struct{" + strings.Join(fields, "; ") + "}", nil
}

func (l layouter) ofMap(t reflect.Type, path string) (string, error) {
	key, err := l.of(t.Key(), path+"'s key")
	if err != nil {
		return "", err
	}
	switch kind := t.Key().Kind(); {
	case encodesItself(t.Key()), kind == reflect.String, kind >= reflect.Int && kind <= reflect.Uint64:
	default:
		return "", fmt.Errorf("%s has keys of type %s, which cannot be encoded: use text or integers", path, t.Key())
	}
	elem, err := l.of(t.Elem(), path)
	return "map(" + key + ", " + elem + ")", err
}

// encodesItself reports whether the type says itself how it is written and read.
func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t.Kind() != reflect.Interface &&
		(p.Implements(reflect.TypeFor[json.Marshaler]()) && p.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
			p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()))
}

// holdsReferences reports whether a copy of a value of the type shares anything with it that
// can be changed.
func holdsReferences(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return holdsReferences(t.Elem())
	case reflect.Struct:
		if t.PkgPath() == "time" && t.Name() == "Time" {
			return false // its zone is never changed
		}
		for field := range t.Fields() {
			if holdsReferences(field.Type) {
				return true
			}
		}
		return false
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	default:
		return false
	}
}
