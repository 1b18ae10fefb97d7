package codec

import (
	"cmp"
	"reflect"
	"slices"
)

// step is one upcast. Its types are erased so that steps of any types form a chain;
// checkSteps proves that they fit together before one is ever called.
type step struct {
	from    int
	in, out reflect.Type
	decode  decoder
	upcast  func(old any) (any, error)
}

// Upcast turns a stored event of schema version from into the shape of version from+1.
// The steps of an event form a chain without gaps from version 1 to the event's type:
// each takes what the one before it returns.
//
// Keep the old types as they were when they were written; they describe the log, not
// the program. f must be pure: it runs each time the event is read.
func Upcast[From, To any](from int, f func(From) (To, error)) Option {
	return func(d *definition) {
		if f == nil {
			d.failf("the upcast from version %d has no function", from)
			return
		}
		d.steps = append(d.steps, step{
			from:   from,
			in:     reflect.TypeFor[From](),
			out:    reflect.TypeFor[To](),
			decode: decodeAs[From],
			upcast: func(old any) (any, error) { return f(old.(From)) },
		})
	}
}

// checkSteps orders the steps and makes sure that they lead from version 1 to the
// current type, each exactly once.
func (d *definition) checkSteps() {
	slices.SortStableFunc(d.steps, func(a, b step) int { return cmp.Compare(a.from, b.from) })
	byVersion := make(map[int]step, len(d.steps))
	for _, s := range d.steps {
		if _, twice := byVersion[s.from]; twice {
			d.failf("two upcasts from version %d", s.from)
		}
		if s.from < 1 || s.from >= d.version {
			d.failf("an upcast from version %d, but the current version is %d", s.from, d.version)
		}
		byVersion[s.from] = s
	}
	for version := 1; version < d.version; version++ {
		d.checkStep(version, byVersion)
	}
}

func (d *definition) checkStep(version int, byVersion map[int]step) {
	s, found := byVersion[version]
	if !found {
		d.failf("no upcast from version %d to %d; add codec.Upcast(%[1]d, …)", version, version+1)
		return
	}
	want, wanted := d.goType, "the event's type"
	if next, found := byVersion[version+1]; found {
		want, wanted = next.in, "what the next upcast takes"
	}
	if s.out != want {
		d.failf("the upcast from version %d returns %s, but %s is %s", version, s.out, wanted, want)
	}
}

// compose returns the decoder of every version, given the current version's and the
// steps in order.
func compose(current decoder, steps []step) []decoder {
	decoders := make([]decoder, len(steps)+1)
	decoders[len(steps)] = current
	for n := range steps {
		decoders[n] = chain(steps[n:])
	}
	return decoders
}

func chain(steps []step) decoder {
	return func(f Format, data []byte) (any, error) {
		event, err := steps[0].decode(f, data)
		for n := 0; n < len(steps) && err == nil; n++ {
			event, err = steps[n].upcast(event)
		}
		return event, err
	}
}
