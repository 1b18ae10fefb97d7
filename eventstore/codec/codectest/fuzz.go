package codectest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Fuzz looks for payloads of any event and schema version on which decoding panics, is not the same
// twice, or gives an event that cannot be stored and read back. It begins with the golden payloads
// in the directory ([Golden]); the corpus is Go's, in testdata/fuzz.
//
//	func FuzzEvents(f *testing.F) { codectest.Fuzz(f, events, "testdata/events") }
func Fuzz(f *testing.F, events *codec.Set, dir string) {
	f.Helper()
	shapes := events.Shapes()
	for _, golden := range files(f, dir) {
		for n, shape := range shapes {
			if shape.Type == golden.name && shape.SchemaVersion == golden.version {
				f.Add(uint(n), golden.content)
			}
		}
	}
	f.Fuzz(func(t *testing.T, n uint, data []byte) {
		shape := shapes[n%uint(len(shapes))]
		r := eventstore.Recorded{
			EventData: eventstore.EventData{Type: shape.Type, SchemaVersion: shape.SchemaVersion, Data: data},
			Stream:    "fuzz-1", Version: 1, Position: 1,
		}
		decoded, err := events.Decode(r)
		if panicked, is := errors.AsType[*codec.PanicError](err); is {
			t.Fatalf("%s in schema version %d: %v", shape.Type, shape.SchemaVersion, panicked)
		}
		if err == nil {
			readBack(t, events, decoded)
		}
		if _, err := events.Losses(r); err != nil {
			if panicked, is := errors.AsType[*codec.PanicError](err); is {
				t.Fatalf("losses of %s in schema version %d: %v", shape.Type, shape.SchemaVersion, panicked)
			}
		}
	})
}

// readBack makes sure that what was decoded can be written, and is the same when it comes back.
func readBack(t *testing.T, events *codec.Set, decoded []any) {
	t.Helper()
	for _, event := range decoded {
		written, err := events.Encode(event)
		if err != nil {
			t.Fatalf("%T was decoded and cannot be stored: %v", event, err)
		}
		again, err := events.Decode(eventstore.Recorded{EventData: written})
		if err != nil {
			t.Fatalf("%T was stored and cannot be decoded: %v", event, err)
		}
		twice, err := events.Encode(again[0])
		if err != nil || !reflect.DeepEqual(written, twice) {
			t.Fatalf("%T comes back as another event: %s, then %s (%v)", event, shown(written.Data), shown(twice.Data), err)
		}
	}
}
