package codec

import (
	"fmt"
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
)

// Encode returns the event ready to be appended: name, current schema version, tags
// and payload. The event is a value of a registered type, not a pointer to one; any
// other is an [UnregisteredError].
func (s *Set) Encode(event any) (eventstore.EventData, error) {
	d, found := s.byType[reflect.TypeOf(event)]
	if !found {
		return eventstore.EventData{}, s.unregistered(event)
	}
	data, err := d.encode(event)
	if err != nil {
		return eventstore.EventData{}, fmt.Errorf("encode event %s: %w", d.name, err)
	}
	return data, nil
}

func (d *definition) encode(event any) (data eventstore.EventData, err error) {
	defer recoverTo(&err)
	payload, err := d.format.Marshal(event)
	if err != nil {
		return eventstore.EventData{}, err
	}
	data = eventstore.EventData{Type: d.name, SchemaVersion: d.version, Data: payload}
	if d.tags != nil {
		data.Tags = d.tags(event)
	}
	return data, nil
}

// recoverTo turns a panic in a user's function (an upcast, tags, a JSON method) into
// an error: one bad event must not take the process with every other command down.
func recoverTo(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{p}
	}
}
