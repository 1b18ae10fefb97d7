package codec

import (
	"cmp"
	"reflect"
	"slices"
)

// step is one upcast. Its types are erased so that steps of any types form a chain;
// checkSteps and checkTargets prove that they fit together before one is ever called.
type step struct {
	from   int
	in     reflect.Type // nil: a Drop, which does not look at the payload
	out    reflect.Type // what it returns, or each of what it returns
	read   reader
	upcast func(old any) (any, error)   // one from one
	each   func(old any) ([]any, error) // several from one, or none; nil where upcast is set
}

// Upcast turns a stored event of schema version from into the shape of version from+1.
// The steps of an event form a chain without gaps from version 1 to the event's type:
// each takes what the one before it returns.
//
// Keep the old types as they were when they were written; they describe the log, not
// the program. f must be pure: it runs each time the event is read.
func Upcast[From, To any](from int, f func(From) (To, error)) Option {
	if f == nil {
		return withoutFunction(from)
	}
	return add(step{
		from:   from,
		in:     reflect.TypeFor[From](),
		out:    reflect.TypeFor[To](),
		read:   readAs[From],
		upcast: func(old any) (any, error) { return f(old.(From)) },
	})
}

// UpcastEach is [Upcast] for a stored event that stands for several events today, or for none.
// Each value that f returns is either in the shape of version from+1, and goes on in the chain,
// or an event of another type that is registered in the same set, in that type's current form.
// To may be an interface, such as that of an aggregate's events; no value may be nil.
//
//	codec.UpcastEach(1, func(old soldV1) ([]Event, error) {
//		return []Event{Sold{old.Item}, Paid{old.Cents}}, nil
//	})
//
// To whoever reads them they are one stored event: they come in this order and together, each with
// the stream, version and position of the stored event, and with its tags and metadata. A state
// at that version has them all. A view folds them all or, if one of them fails, parks the key at
// that position, without any of them.
//
// What f returns need not be apart: values that share a slice or a map are copied by the format
// before anybody sees them.
func UpcastEach[From, To any](from int, f func(From) ([]To, error)) Option {
	if f == nil {
		return withoutFunction(from)
	}
	return add(step{
		from: from,
		in:   reflect.TypeFor[From](),
		out:  reflect.TypeFor[To](),
		read: readAs[From],
		each: func(old any) ([]any, error) {
			events, err := f(old.(From))
			values := make([]any, len(events))
			for n, event := range events {
				values[n] = event
			}
			return values, err
		},
	})
}

// Drop says that an event of schema version from stands for nothing today. Its payload is not
// looked at. It is still in the log, with its version and position.
func Drop(from int) Option {
	return add(step{
		from: from,
		read: func(Format, []byte) (any, error) { return nil, nil },
		each: func(any) ([]any, error) { return nil, nil },
	})
}

func add(s step) Option { return func(d *definition) { d.steps = append(d.steps, s) } }

func withoutFunction(from int) Option {
	return func(d *definition) { d.failf("the upcast from version %d has no function", from) }
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
		if s.from < 1 || s.from > d.lastStep() {
			d.failf("an upcast from version %d, but the current version is %d", s.from, d.version)
		}
		byVersion[s.from] = s
	}
	for version := 1; version <= d.lastStep(); version++ {
		d.checkStep(version, byVersion)
	}
}

// lastStep is the last version that needs a step.
func (d *definition) lastStep() int {
	if d.goType == nil {
		return d.version
	}
	return d.version - 1
}

func (d *definition) checkStep(version int, byVersion map[int]step) {
	s, found := byVersion[version]
	switch {
	case !found && d.goType == nil && version == d.version:
		d.failf("no step from version %d, the last: say what it is today, or add codec.Drop(%[1]d)", version)
		return
	case !found:
		d.failf("no upcast from version %d to %d; add codec.Upcast(%[1]d, …)", version, version+1)
		return
	case s.each != nil || version == d.version:
		return // where its values may go is known when the set is
	}
	want, wanted := d.goType, "the event's type"
	if next, found := byVersion[version+1]; found {
		want, wanted = next.in, "what the next upcast takes"
		if want == nil {
			d.failf("the upcast from version %d leads to version %d, which is dropped: add codec.Drop(%[1]d) in its place", version, version+1)
			return
		}
	}
	if s.out != want {
		d.failf("the upcast from version %d returns %s, but %s is %s", version, s.out, wanted, want)
	}
}

// shape returns the Go type of a version's payloads, nil if there is none.
func (d *definition) shape(version int) reflect.Type {
	if version <= len(d.steps) {
		return d.steps[version-1].in
	}
	if version == d.version {
		return d.goType
	}
	return nil
}

// reader returns the one that reads a version's payloads into its shape.
func (d *definition) reader(version int) reader {
	if version <= len(d.steps) {
		return d.steps[version-1].read
	}
	return d.current
}

// follow appends to events what a value in the shape of a version is today.
func (d *definition) follow(events []any, version int, value any) ([]any, error) {
	for ; version <= len(d.steps); version++ {
		s := d.steps[version-1]
		if s.each != nil {
			return d.followEach(events, version, value)
		}
		var err error
		if value, err = s.upcast(value); err != nil {
			return nil, err
		}
	}
	return append(events, value), nil
}

func (d *definition) followEach(events []any, version int, value any) ([]any, error) {
	values, err := d.steps[version-1].each(value)
	if err != nil {
		return nil, err
	}
	next := d.shape(version + 1)
	for _, v := range values {
		if next == nil || reflect.TypeOf(v) != next {
			events = append(events, v)
		} else if events, err = d.follow(events, version+1, v); err != nil {
			return nil, err
		}
	}
	return events, nil
}
