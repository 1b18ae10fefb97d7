package codec

import (
	"encoding/json"
	"reflect"
)

// Format turns values into payloads and back. It must read what any build has written:
// the log keeps it for ever. [TypeChecker], [LossFinder] and
// [ContentTyper] are optional powers of a format.
type Format interface {
	Marshal(value any) ([]byte, error)
	// Unmarshal fills the value that into points to, which is zero. It must not keep data.
	Unmarshal(data []byte, into any) error
}

// TypeChecker is an optional power of a [Format] that has rules of its own about the types it
// takes. Without it the rules are those of JSON, and an event's type is no pointer.
type TypeChecker interface {
	// CheckType returns why values of the type cannot be stored and read back, nil if they can.
	// It is asked when a set is made, for an event's type and for each of its older shapes.
	CheckType(t reflect.Type) error
}

// In says in which format an event's payloads are, those of its older schema versions too.
// Default: JSON by encoding/json. The type of f must be comparable, so that [Merge] can tell
// whether two definitions are one. A faster JSON is in package jsonv2, and protocol buffers are
// in package protobuf.
func In(f Format) Option {
	return func(d *definition) {
		if f == nil || !reflect.TypeOf(f).Comparable() {
			d.failf("the format of In is %T, want a comparable type", f)
			return
		}
		d.format = f
	}
}

// encodingJSON is the default format.
type encodingJSON struct{}

func (encodingJSON) Marshal(value any) ([]byte, error)     { return json.Marshal(value) }
func (encodingJSON) Unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

func readAs[T any](f Format, data []byte) (any, error) {
	var value T
	if err := f.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	return value, nil
}

// checkShapes makes sure that the format can hold the event, and read its older shapes.
func (d *definition) checkShapes() {
	format, own := d.format.(TypeChecker)
	if !own {
		d.checkJSON()
		return
	}
	types := []reflect.Type{d.goType}
	for _, s := range d.steps {
		types = append(types, s.in)
	}
	for _, t := range types {
		if t == nil {
			continue
		}
		if err := format.CheckType(t); err != nil {
			d.errs = append(d.errs, err)
		}
	}
}

// checkJSON is checkShapes for formats that write JSON, and for those that do not say.
func (d *definition) checkJSON() {
	if d.goType == nil {
		return
	}
	if kind := d.goType.Kind(); kind == reflect.Interface || kind == reflect.Pointer {
		d.failf("%s is not a value type; events are passed and stored as values", d.goType)
		return
	}
	d.checkShape()
}
