package aggregate

import (
	"cmp"
	"reflect"
	"slices"
)

// sharesReferences reports whether a state refers to one thing in two places, as a list and an
// index of the same pointers do. Read back from its encoded form there would be two things: a
// fold that changes one of them makes another state than it would have made.
//
// What values that encode themselves hold is their own.
func sharesReferences[S any](state *S) bool {
	var r references
	r.follow(reflect.ValueOf(state).Elem())
	slices.SortFunc(r, func(a, b memory) int { return cmp.Compare(a.from, b.from) })
	for n := 1; n < len(r); n++ {
		if r[n].from < r[n-1].to {
			return true
		}
	}
	return false
}

// references are what a state refers to.
type references []memory

// memory is the addresses from <= address < to.
type memory struct{ from, to uintptr }

func (r *references) add(to reflect.Value, size uintptr) {
	if size > 0 {
		*r = append(*r, memory{to.Pointer(), to.Pointer() + size})
	}
}

func (r *references) follow(v reflect.Value) {
	t := v.Type()
	if encodesItself(t) || !holdsReferences(t) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			r.add(v, t.Elem().Size())
			r.follow(v.Elem())
		}
	case reflect.Map:
		if !v.IsNil() {
			r.add(v, 1)
		}
		for _, elem := range v.Seq2() {
			r.follow(elem)
		}
	case reflect.Slice:
		r.add(v, uintptr(v.Cap())*t.Elem().Size()) // also the room that an append would use
		fallthrough
	case reflect.Array:
		for n := range v.Len() {
			r.follow(v.Index(n))
		}
	case reflect.Struct:
		for n := range t.NumField() {
			r.follow(v.Field(n))
		}
	}
}
