package projection

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// View is a projection that is a keyed fold: one row of type R per key. R is a struct;
// its exported fields are the columns, see [Model]. A View is immutable and safe for
// concurrent use.
type View[R any] struct {
	generation Generation
	indexes    []string
	mapping    *mapping
	rules      []Rule[R]
}

// ViewOptions describe a view.
type ViewOptions struct {
	// Version is the generation of the read model, at least 1. Raise it when a fold or the
	// struct changes: the new generation is built beside the live one, from position 0, and then
	// replaces it. The old one's rows stay in the sink, for readers of the old program;
	// [Retire] removes them when there are none. Required.
	Version int

	// Indexes are the columns that rows can be listed by. Their fields must not be
	// pointers or nested values. Default: by key only.
	Indexes []string
}

// NewView returns the view with the rules. An event runs through every rule of its
// type, in the order given; events of types without a rule are passed over, whether the
// program knows them or not. An old event that stands for several (codec.UpcastEach) runs through
// the rules as those, in their order; all of them are folded, or none. It panics on a mistake in the definition, and names it.
//
// Between two events a row is as if it had been stored and read back: times in UTC with
// microseconds, empty bytes nil. So a fold sees the same row wherever a window of events
// ends. Only nested values must see to that themselves: what JSON leaves out is lost.
func NewView[R any](name string, options ViewOptions, rules ...Rule[R]) *View[R] {
	v, err := newView(name, options, rules)
	if err != nil {
		panic(fmt.Sprintf("projection.NewView(%q): %v", name, err))
	}
	return v
}

func newView[R any](name string, options ViewOptions, rules []Rule[R]) (*View[R], error) {
	generation := Generation{Name: name, Version: options.Version}
	if err := generation.Validate(); err != nil {
		return nil, err
	}
	mapping, err := newMapping(reflect.TypeFor[R]())
	if err != nil {
		return nil, err
	}
	if err := mapping.checkIndexes(options.Indexes); err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, errors.New("it has no rules; add projection.When(...)")
	}
	for n, rule := range rules {
		if rule.mistake != "" || rule.event == nil {
			return nil, fmt.Errorf("rule %d: %s", n+1, cmp.Or(rule.mistake, "it is empty; make one with projection.When(...)"))
		}
	}
	return &View[R]{generation: generation, indexes: slices.Clone(options.Indexes), mapping: mapping, rules: slices.Clone(rules)}, nil
}

// Name returns the view's name.
func (v *View[R]) Name() string { return v.generation.Name }

// Generation returns the view's name and version.
func (v *View[R]) Generation() Generation { return v.generation }

// Rule says what one type of event does to a row. Make one with [When], [WhenKeyed] or
// [Delete].
type Rule[R any] struct {
	event   reflect.Type
	refers  bool   // a copy of the event shares something with it that can be changed
	keyedBy string // for the definition's hash
	key     func(event any, m *eventstore.Recorded) string
	fold    func(row *R, event any, m *eventstore.Recorded) // nil deletes the row
	mistake string                                          // in the definition, for NewView
}

// keyedByStream is how the rules of [When] are keyed.
const keyedByStream = "stream"

// When folds events of type E into the row whose key is the id part of the event's
// stream. A row that does not exist yet starts as the zero R with its key set.
//
// fold must be pure, and must neither keep nor change the bytes of m; what is in event it may
// keep in the row. A panic in it stops a [Runner] with an [EventError], and nothing of the window
// is applied; a [Worker] parks the key.
func When[R, E any](fold func(row *R, event E, m eventstore.Recorded)) Rule[R] {
	return foldRule(keyedByStream, func(_ any, m *eventstore.Recorded) string { return m.Stream.ID() }, fold)
}

// WhenKeyed folds events of type E into the row that key names. An event that touches
// several rows has several rules. An empty key means that the event touches no row, and one
// that is not UTF-8, or holds a NUL, stops the projection.
// key must be pure, and what [When] says of fold holds for it too, but that nothing can be
// parked by a key that is not known: it stops a [Worker]'s segment.
func WhenKeyed[R, E any](key func(event E, m eventstore.Recorded) string, fold func(row *R, event E, m eventstore.Recorded)) Rule[R] {
	rule := foldRule("event", func(event any, m *eventstore.Recorded) string { return key(event.(E), *m) }, fold)
	if key == nil {
		rule.mistake = "it has no key function"
	}
	return rule
}

func foldRule[R, E any](keyedBy string, key func(event any, m *eventstore.Recorded) string, fold func(row *R, event E, m eventstore.Recorded)) Rule[R] {
	rule := Rule[R]{
		event:   reflect.TypeFor[E](),
		refers:  holdsReferences(reflect.TypeFor[E]()),
		keyedBy: keyedBy,
		key:     key,
		fold:    func(row *R, event any, m *eventstore.Recorded) { fold(row, event.(E), *m) },
	}
	if fold == nil {
		rule.mistake = "it has no fold function"
	}
	return rule
}

// Delete removes the row that key names when an event of type E happens. A later
// event starts the row anew. An empty key, or one that has no row, removes nothing.
func Delete[R, E any](key func(event E) string) Rule[R] {
	rule := Rule[R]{
		event:   reflect.TypeFor[E](),
		keyedBy: "delete",
		key:     func(event any, _ *eventstore.Recorded) string { return key(event.(E)) },
	}
	if key == nil {
		rule.mistake = "it has no key function"
	}
	return rule
}
