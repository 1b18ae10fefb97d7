package aggregate

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Type is a kind of aggregate: states of type S, folded from events of type E. E is
// usually an interface that only its own package can implement.
type Type[S, E any] struct {
	category string
	fold     func(E, *S)
	events   *codec.Set
	shape    Shape // of the fold; zero: its states are not kept
}

// Define returns the type whose streams are named "category-id". The state of an
// aggregate is the fold of its events, in order, into a zero S.
//
// The fold is a pure function without decisions: an event has happened, and cannot be
// refused any more. Events must list every type that the streams hold.
//
// Define is for package variables, so it panics if the definition cannot work: a bad
// category, a nil fold, no events, a bad or repeated event, an event that is not an E.
func Define[S, E any](category string, fold func(event E, state *S), events ...codec.Definition) *Type[S, E] {
	set, err := check[E](category, fold == nil, events)
	if err != nil {
		panic(fmt.Sprintf("aggregate.Define(%q): %v", category, err))
	}
	return &Type[S, E]{category: category, fold: fold, events: set}
}

// Category returns the first part of the names of the type's streams.
func (t *Type[S, E]) Category() string { return t.category }

// Events returns the type's events, for projections and tools that read them.
func (t *Type[S, E]) Events() *codec.Set { return t.events }

// Stream returns the name of the stream of the aggregate with the id.
func (t *Type[S, E]) Stream(id string) eventstore.StreamID {
	return eventstore.NewStreamID(t.category, id)
}

// Fold applies the events to the state, in order.
func (t *Type[S, E]) Fold(state *S, events ...E) {
	for _, event := range events {
		t.fold(event, state)
	}
}

// foldRecorded decodes a stored event and applies it.
func (t *Type[S, E]) foldRecorded(state *S, r eventstore.Recorded) error {
	decoded, err := t.events.Decode(r)
	if err != nil {
		return err
	}
	for _, event := range decoded {
		t.fold(event.(E), state) // Define has checked that every event is an E
	}
	return nil
}

func check[E any](category string, noFold bool, events []codec.Definition) (*codec.Set, error) {
	if strings.Contains(category, "-") {
		return nil, errors.New("the category has a dash, which is where a stream's id begins")
	}
	if err := eventstore.NewStreamID(category, "id").Validate(); err != nil {
		return nil, fmt.Errorf("bad category: %w", err)
	}
	if noFold {
		return nil, errors.New("the fold is nil")
	}
	if len(events) == 0 {
		return nil, errors.New("it has no events")
	}
	set, err := codec.NewSet(events...)
	if err != nil {
		return nil, err
	}
	return set, checkAll[E](set)
}

// checkAll makes sure that every event is an E, so that a decoded one always folds.
func checkAll[E any](set *codec.Set) error {
	want := reflect.TypeFor[E]()
	for _, event := range set.Types() {
		if !event.GoType.AssignableTo(want) {
			return fmt.Errorf("event %q: %s is not a %s%s", event.Name, event.GoType, want, missing(event.GoType, want))
		}
	}
	return nil
}

// missing says which method an event lacks, as the compiler would.
func missing(goType, want reflect.Type) string {
	if want.Kind() != reflect.Interface {
		return ""
	}
	if reflect.PointerTo(goType).Implements(want) {
		return ", only *" + goType.String() + " is: give its methods value receivers"
	}
	for method := range want.Methods() {
		if _, found := goType.MethodByName(method.Name); !found && method.IsExported() {
			return ", it has no method " + method.Name
		}
	}
	return ""
}
