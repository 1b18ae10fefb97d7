package codec

import (
	"fmt"
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
)

// Decode returns the event as values of the current Go types, upcast if it was stored
// in an older shape. That is one value for most events; several or none where an older shape has
// an [UpcastEach] or a [Drop]. Callers loop over them.
//
// Errors are [UnknownTypeError], [SchemaVersionError] and [DecodeError]. Each says where
// the event is stored.
func (s *Set) Decode(r eventstore.Recorded) ([]any, error) {
	d, err := s.definitionOf(r)
	if err != nil {
		return nil, err
	}
	events, err := s.decode(d, r)
	if err != nil {
		return nil, decodeError(r, err)
	}
	return events, nil
}

// definitionOf returns the definition by which the event is read.
func (s *Set) definitionOf(r eventstore.Recorded) (*definition, error) {
	d, found := s.byName[r.Type]
	if !found {
		return nil, &UnknownTypeError{Type: r.Type, Stream: r.Stream, Position: r.Position}
	}
	if r.SchemaVersion < 1 || r.SchemaVersion > d.version {
		return nil, &SchemaVersionError{
			Type: r.Type, SchemaVersion: r.SchemaVersion, Known: d.version,
			Stream: r.Stream, Position: r.Position,
		}
	}
	return d, nil
}

func (s *Set) decode(d *definition, r eventstore.Recorded) (events []any, err error) {
	defer recoverTo(&err)
	value, err := d.reader(r.SchemaVersion)(d.format, r.Data)
	if err != nil {
		return nil, err
	}
	if r.SchemaVersion > len(d.steps) {
		return []any{value}, nil
	}
	if events, err = d.follow(nil, r.SchemaVersion, value); err != nil {
		return nil, err
	}
	for _, event := range events {
		if !s.isCurrent(event) {
			return nil, fmt.Errorf("an upcast returned %s, which is no event of the set", typeName(event))
		}
	}
	if len(events) > 1 {
		return s.apart(events)
	}
	return events, nil
}

// apart returns copies that share nothing: values that one function made of one payload may, and
// they go to rows and states that do not.
func (s *Set) apart(events []any) ([]any, error) {
	for n, event := range events {
		fresh, err := s.byType[reflect.TypeOf(event)].copy(event)
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", typeName(event), err)
		}
		events[n] = fresh
	}
	return events, nil
}

// Copy returns the event as it would come back from a store. The copy shares nothing with it.
func (s *Set) Copy(event any) (fresh any, err error) {
	d, found := s.byType[reflect.TypeOf(event)]
	if !found {
		return nil, s.unregistered(event)
	}
	defer recoverTo(&err)
	return d.copy(event)
}

func (d *definition) copy(event any) (any, error) {
	payload, err := d.format.Marshal(event)
	if err != nil {
		return nil, err
	}
	return d.current(d.format, payload)
}

func typeName(event any) string {
	if event == nil {
		return "nil"
	}
	return reflect.TypeOf(event).String()
}
