package codec

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
)

// ErrUnknownType says that a stored event has a type that the set does not hold; see [UnknownTypeError].
var ErrUnknownType = errors.New("unknown event type")

// UnknownTypeError says which stored event has an unknown type. It matches [ErrUnknownType].
type UnknownTypeError struct {
	Type     string
	Stream   eventstore.StreamID
	Position eventstore.Position
}

func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("event at position %d of %s has type %q, which this build does not know: "+
		"register it with codec.Event[T](%q), or deploy the newer version that wrote it",
		e.Position, e.Stream, e.Type, e.Type)
}

// Is reports whether target is [ErrUnknownType].
func (e *UnknownTypeError) Is(target error) bool { return target == ErrUnknownType }

// SchemaVersionError says that a stored event has a schema version that the set cannot
// read: it was written by a newer build, or it is not a version at all.
type SchemaVersionError struct {
	Type          string
	SchemaVersion int
	Known         int // the newest that this build reads
	Stream        eventstore.StreamID
	Position      eventstore.Position
}

func (e *SchemaVersionError) Error() string {
	hint := "versions start at 1"
	if e.SchemaVersion > e.Known {
		hint = "a newer build wrote it; deploy that build to all readers before any writer"
	}
	return fmt.Sprintf("event at position %d of %s is %s in schema version %d, this build reads 1 to %d: %s",
		e.Position, e.Stream, e.Type, e.SchemaVersion, e.Known, hint)
}

// DecodeError says which stored event could not be decoded. It wraps the reason: that of
// the JSON, of an upcast, or of a panic in one.
type DecodeError struct {
	Type          string
	SchemaVersion int
	Stream        eventstore.StreamID
	Version       eventstore.Version
	Position      eventstore.Position
	Err           error
}

func decodeError(r eventstore.Recorded, err error) error {
	return &DecodeError{
		Type: r.Type, SchemaVersion: r.SchemaVersion,
		Stream: r.Stream, Version: r.Version, Position: r.Position, Err: err,
	}
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode event %s (schema version %d) at position %d, version %d of %s: %v",
		e.Type, e.SchemaVersion, e.Position, e.Version, e.Stream, e.Err)
}

// Unwrap returns the reason.
func (e *DecodeError) Unwrap() error { return e.Err }

// PanicError is a panic of a function that the program gave: an upcast, tags, a method of an
// event. It wraps what the function panicked with, if that is an error.
type PanicError struct{ Value any }

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the error that the function panicked with.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// UnregisteredError says that a Go value is not of a type that the set holds.
type UnregisteredError struct {
	GoType reflect.Type // nil for a nil event

	// pointsTo is the name of the registered type that GoType points to, if it does.
	pointsTo string
}

func (e *UnregisteredError) Error() string {
	switch {
	case e.GoType == nil:
		return "encode event: it is nil"
	case e.pointsTo != "":
		return fmt.Sprintf("encode event: got %s, a pointer; %s events are values of %s", e.GoType, e.pointsTo, e.GoType.Elem())
	default:
		return fmt.Sprintf("encode event: type %s is not registered: add codec.Event[%s](\"…\")", e.GoType, e.GoType)
	}
}

func (s *Set) unregistered(event any) error {
	goType := reflect.TypeOf(event)
	e := &UnregisteredError{GoType: goType}
	if goType != nil && goType.Kind() == reflect.Pointer {
		e.pointsTo, _ = s.NameFor(goType.Elem())
	}
	return e
}
