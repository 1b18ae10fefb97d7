package jsonschema

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"strings"
)

// Side says which side of an encoding a schema describes.
type Side int

const (
	// Written is what encoding/json writes: a field is required unless it can be left out, and
	// objects are open, so that a field may be added to them.
	Written Side = iota
	// Taken is what a strict decoder takes: no field is required, and no other is taken.
	Taken
)

// Set makes the schemas of a document. Named structs, slices, maps and arrays become
// definitions that schemas refer to, so types may be recursive.
type Set struct {
	prefix      string
	given       map[reflect.Type]json.RawMessage
	names       map[use]string
	definitions Properties
}

// use is a type on one side.
type use struct {
	t    reflect.Type
	side Side
}

// NewSet returns an empty set whose references start with the prefix, such as
// "#/components/schemas/". The given schemas stand for their types, on both sides.
func NewSet(prefix string, given map[reflect.Type]json.RawMessage) *Set {
	return &Set{prefix: prefix, given: given, names: map[use]string{}}
}

// Of returns the schema of a value of the type. Its error names a field that JSON cannot hold.
func (s *Set) Of(t reflect.Type, side Side) (*Schema, error) {
	return maker{s, side}.value(t, t.String())
}

// Parameter returns the schema of a value that stands in a URL: text, a number, true or false.
func (s *Set) Parameter(t reflect.Type) (*Schema, error) {
	own := maker{s, Taken}.own(t)
	switch {
	case own != nil && (own.given != nil || own.Format != ""):
		return own, nil
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return Text(""), nil
	default:
		return scalar(t, t.String())
	}
}

// Definitions returns what the schemas made so far refer to, in the order in which they were met.
func (s *Set) Definitions() *Properties { return &s.definitions }

// name returns a name that no other use has: the type's own, and if that is taken, one with its
// side or its package.
func (s *Set) name(u use) string {
	own := nameOf(u.t)
	_, otherSide := s.names[use{u.t, 1 - u.side}]
	candidates := []string{own, path.Base(u.t.PkgPath()) + "." + own}
	if otherSide {
		candidates = []string{own + [...]string{Written: "Written", Taken: "Taken"}[u.side]}
	}
	for n := 2; ; n++ {
		for _, candidate := range candidates {
			if s.definitions.Get(candidate) == nil {
				return candidate
			}
		}
		candidates = []string{fmt.Sprintf("%s%d", own, n)}
	}
}

var (
	unspoken    = regexp.MustCompile(`[^\[\],]*[./]|·[0-9]+`) // the packages of type arguments, the compiler's numbers
	punctuation = regexp.MustCompile(`[^A-Za-z0-9.-]+`)
)

// nameOf returns the type's name as both kinds of document allow it: Page[example.com/shop.Order]
// is Page_Order.
func nameOf(t reflect.Type) string {
	return strings.Trim(punctuation.ReplaceAllString(unspoken.ReplaceAllString(t.Name(), ""), "_"), "_")
}
