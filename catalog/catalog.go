package catalog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Catalog is what a program registers. Every field may be left out; what is not in it is in no
// document.
type Catalog struct {
	// Title and Version are the program's. Default: "Events" and "0".
	Title, Version string

	// Commands are those of the bus, from [command.Bus.Commands].
	Commands []command.Registration

	// Queries are those of the bus, from [query.Bus.Queries].
	Queries []query.Registration

	// Aggregates are the kinds of streams that the program appends to.
	Aggregates []Aggregate

	// Events are what is in the log besides, such as those of appends that span streams. Events of
	// the aggregates may be among them.
	Events *codec.Set

	// Projections are the views and handlers that keep the read models.
	Projections []Projection

	// Schemas are the JSON Schemas of types whose JSON does not follow from their fields and that
	// have no method JSONSchema() json.RawMessage, such as those of other modules. They stand for
	// their types wherever these are met.
	Schemas map[reflect.Type]json.RawMessage
}

// Aggregate is a kind of stream; an [aggregate.Type] is one.
type Aggregate interface {
	Category() string
	Events() *codec.Set
}

// Projection is a [projection.View] or a [projection.Handler].
type Projection interface {
	Registration() projection.Registration
}

// events returns the union of all events.
func (c Catalog) events() (*codec.Set, error) {
	var sets []*codec.Set
	for _, a := range c.Aggregates {
		sets = append(sets, a.Events())
	}
	if c.Events != nil {
		sets = append(sets, c.Events)
	}
	return codec.Merge(sets...)
}

// reads returns the names of the events that a projection reads, sorted.
func reads(p Projection, events *codec.Set) ([]string, error) {
	r := p.Registration()
	for _, goType := range r.Events {
		if _, known := events.NameFor(goType); !known {
			return nil, fmt.Errorf("projection %s reads %s, which the catalog does not have: add its aggregate, or its set to Events", r.Name, goType)
		}
	}
	var names []string
	for _, t := range events.Types() {
		if slices.Contains(r.Events, t.GoType) || r.Row == nil && selects(r.Query, t.Name) {
			names = append(names, t.Name)
		}
	}
	return names, nil
}

// selects reports whether a query takes events of the type, with the right tags.
func selects(q eventstore.Query, name string) bool {
	return len(q.Items) == 0 || slices.ContainsFunc(q.Items, func(i eventstore.QueryItem) bool {
		return len(i.Types) == 0 || slices.Contains(i.Types, name)
	})
}
