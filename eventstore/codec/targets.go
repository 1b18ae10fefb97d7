package codec

import (
	"fmt"
	"reflect"
	"slices"
)

// checkTargets makes sure that the steps which may lead to other events do lead to events of the
// set, and notes which stored types may become which.
func (s *Set) checkTargets() (errs []error) {
	s.sources = map[string][]string{}
	for _, d := range s.sorted() {
		if d.goType != nil {
			s.sources[d.name] = append(s.sources[d.name], d.name)
		}
	}
	for _, d := range s.sorted() {
		for _, step := range d.steps {
			if err := s.checkTarget(d, step); err != nil {
				errs = append(errs, d.wrong(err))
			}
		}
	}
	return errs
}

func (s *Set) checkTarget(d *definition, step step) error {
	next := d.shape(step.from + 1)
	if step.out == nil || step.out == next {
		return nil
	}
	may := next != nil && next.AssignableTo(step.out)
	for _, other := range s.sorted() {
		if other.goType == nil || !other.goType.AssignableTo(step.out) {
			continue
		}
		may = true
		if !slices.Contains(s.sources[other.name], d.name) {
			s.sources[other.name] = append(s.sources[other.name], d.name)
		}
	}
	if !may {
		return fmt.Errorf("the upcast from version %d returns %s, which is neither the shape of version %d nor an event of the set: add codec.Event[%[2]s](…)", step.from, step.out, step.from+1)
	}
	return nil
}

// StoredAs returns the names under which the log holds what is decoded as events of the named
// types: the names themselves, and those of events that an [UpcastEach], or the end of a [Retired]
// event, may turn into one. Whoever selects events by type in a query selects by these, or misses
// events of the past. A name that the set does not know stands for itself.
func (s *Set) StoredAs(names ...string) []string {
	var stored []string
	for _, name := range names {
		sources := s.sources[name]
		if sources == nil {
			sources = []string{name}
		}
		for _, source := range sources {
			if !slices.Contains(stored, source) {
				stored = append(stored, source)
			}
		}
	}
	return stored
}

// isCurrent reports whether the value is of a type that events of the set have today.
func (s *Set) isCurrent(event any) bool { return s.byType[reflect.TypeOf(event)] != nil }
