package query

import (
	"cmp"
	"reflect"
	"slices"
)

// Registration describes a query that a bus answers.
type Registration struct {
	Name     string
	Question reflect.Type
	Answer   reflect.Type // may be an interface
	Reads    []string     // the read models that the handler declared, in its order
}

// Queries returns what the bus answers, in the order of the names. With a question of one
// of these types, made by its reflect.Type, Ask[any] answers what the handler does.
func (b *Bus) Queries() []Registration {
	registered := make([]Registration, 0, len(b.handlers))
	for _, h := range b.handlers {
		r := h.Registration
		r.Reads = slices.Clone(r.Reads)
		registered = append(registered, r)
	}
	slices.SortFunc(registered, func(a, b Registration) int { return cmp.Compare(a.Name, b.Name) })
	return registered
}
