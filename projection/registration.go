package projection

import (
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
)

// Registration describes a projection, for documents and tools.
type Registration struct {
	Generation
	Row    reflect.Type     // nil for a handler
	Events []reflect.Type   // those that a view has rules for, in the order of the rules
	Query  eventstore.Query // what a handler selects; the zero query is every event
}

// Registration returns what the view is made of.
func (v *View[R]) Registration() Registration {
	r := Registration{Generation: v.generation, Row: reflect.TypeFor[R]()}
	seen := map[reflect.Type]bool{}
	for _, rule := range v.rules {
		if !seen[rule.event] {
			r.Events = append(r.Events, rule.event)
		}
		seen[rule.event] = true
	}
	return r
}

// Registration returns what the handler is made of.
func (h *Handler[Tx]) Registration() Registration {
	return Registration{Generation: h.model.Generation, Query: h.query}
}
