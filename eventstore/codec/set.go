package codec

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Set is the event types that a program knows.
type Set struct {
	byName  map[string]*definition
	byType  map[reflect.Type]*definition
	sources map[string][]string // of an event's name, under which names it may be stored
}

// EventType describes one event type of a [Set].
type EventType struct {
	Name          string
	GoType        reflect.Type
	SchemaVersion int    // written now; older ones are upcast
	ContentType   string // of its payloads; see [ContentTyper]
}

// NewSet returns a set of the definitions. Its error names every mistake: a bad name,
// a gap in the upcasts, a name with two types, a type with two names, an event given
// twice, an upcast to events that the set does not hold. A definition that is wrong in itself is not compared with the others.
func NewSet(definitions ...Definition) (*Set, error) {
	set := newSet(len(definitions))
	var errs []error
	for _, d := range definitions {
		errs = append(errs, set.define(d))
	}
	return set.checked(errs)
}

// checked returns the set if nothing is wrong with it. Where upcasts lead is looked at last.
func (s *Set) checked(errs []error) (*Set, error) {
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := errors.Join(s.checkTargets()...); err != nil {
		return nil, err
	}
	return s, nil
}

// Merge returns the union of the sets. An event in several sets must have the same
// definition in each: the same Definition value, or an equal one without upcasts and tags.
func Merge(sets ...*Set) (*Set, error) {
	merged := newSet(0)
	var errs []error
	for _, set := range sets {
		for _, d := range set.sorted() {
			if known, found := merged.byName[d.name]; found && known.same(d) {
				continue
			}
			errs = append(errs, merged.add(d))
		}
	}
	return merged.checked(errs)
}

// Types returns the set's event types, in the order of their names, but for those that are
// [Retired].
func (s *Set) Types() []EventType {
	types := make([]EventType, 0, len(s.byName))
	for _, d := range s.sorted() {
		if d.goType != nil {
			types = append(types, EventType{d.name, d.goType, d.version, contentType(d.format)})
		}
	}
	return types
}

// Shape is what the payloads of an event type are in one schema version.
type Shape struct {
	Type          string
	SchemaVersion int
	GoType        reflect.Type // nil if such events are dropped
	Current       bool         // it is what is written now
}

// Shapes returns every shape that the set can read, by the names of the event types and
// then by version.
func (s *Set) Shapes() []Shape {
	var shapes []Shape
	for _, d := range s.sorted() {
		for version := 1; version <= d.version; version++ {
			shapes = append(shapes, Shape{d.name, version, d.shape(version), d.goType != nil && version == d.version})
		}
	}
	return shapes
}

// NameFor returns the name under which events of the Go type are stored.
func (s *Set) NameFor(goType reflect.Type) (string, bool) {
	d, found := s.byType[goType]
	if !found {
		return "", false
	}
	return d.name, true
}

// NameOf returns the name under which events of type T are stored.
func NameOf[T any](s *Set) (string, bool) { return s.NameFor(reflect.TypeFor[T]()) }

func newSet(size int) *Set {
	return &Set{
		byName: make(map[string]*definition, size),
		byType: make(map[reflect.Type]*definition, size),
	}
}

func (s *Set) define(d Definition) error {
	if d.definition == nil {
		return errors.New("an empty Definition; make one with codec.Event")
	}
	if err := d.err(); err != nil {
		return err
	}
	return s.add(d.definition)
}

func (s *Set) add(d *definition) error {
	if known, found := s.byName[d.name]; found {
		if known.goType == d.goType {
			return fmt.Errorf("event %q of type %s is defined twice", d.name, d.described())
		}
		return fmt.Errorf("event %q has two types: %s and %s", d.name, known.described(), d.described())
	}
	if known, found := s.byType[d.goType]; found {
		return fmt.Errorf("type %s has two event names: %q and %q", d.goType, known.name, d.name)
	}
	s.byName[d.name] = d
	if d.goType != nil {
		s.byType[d.goType] = d
	}
	return nil
}

func (s *Set) sorted() []*definition {
	all := make([]*definition, 0, len(s.byName))
	for _, d := range s.byName {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *definition) int { return cmp.Compare(a.name, b.name) })
	return all
}
