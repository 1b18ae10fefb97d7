package codec

import (
	"encoding/json"
	"reflect"
)

// Format turns values into payloads and back. It must read what any build has written:
// the log keeps it for ever.
type Format interface {
	Marshal(value any) ([]byte, error)
	// Unmarshal fills the value that into points to, which is zero. It must not keep data.
	Unmarshal(data []byte, into any) error
}

// In says in which format an event's payloads are, those of its older schema versions too.
// Default: JSON by encoding/json. The type of f must be comparable, so that [Merge] can tell
// whether two definitions are one; a faster JSON is in package jsonv2.
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

func decodeAs[T any](f Format, data []byte) (any, error) {
	var value T
	if err := f.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	return value, nil
}
