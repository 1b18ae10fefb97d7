// Package protobuf is a format for package codec: protocol buffers, by google.golang.org/protobuf.
//
//	codec.Event[*orderpb.Placed]("order.placed", codec.In(protobuf.Format{}))
//
// Elsewhere events are values. Here they are pointers to generated messages, because a message
// must not be copied; the pointer type is the event's type, in upcasts, tags, folds and rules of
// views. Who appends a message, or is given one, must not change it. The type of an aggregate's
// events is proto.Message or an interface that its messages happen to share: methods cannot be added
// to a generated type, so the fold is a switch.
//
// Payloads are the messages' wire form with the keys of maps in order, so the same build writes
// the same bytes for the same message; the protocol does not promise that of another build. It does
// promise that a field may be added, or renamed, without a new schema version, as long as its number
// and type stay, and that a number which is not used any more is reserved. A new version, with a
// message of its own, is for a change of meaning.
//
// A field that the message does not know is kept in it and written again, and yet the program does
// not see it: [codec.Set.Losses] names it by its number. Text that is not UTF-8 is an error in both
// directions.
package protobuf

import (
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/leftfold/leftfold/eventstore/codec"
)

// Format is the format; its zero value is ready for use. It takes pointers to messages.
type Format struct{}

var (
	_ codec.Format       = Format{}
	_ codec.TypeChecker  = Format{}
	_ codec.LossFinder   = Format{}
	_ codec.ContentTyper = Format{}
)

// CheckType implements [codec.TypeChecker].
func (Format) CheckType(t reflect.Type) error {
	switch {
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && t.Implements(message):
		return nil
	case reflect.PointerTo(t).Implements(message):
		return fmt.Errorf("%s is a message, which must not be copied; the event's type is *%[1]s", t)
	default:
		return fmt.Errorf("%s is not a pointer to a message of protocol buffers; generate one with protoc-gen-go", t)
	}
}

var (
	message       = reflect.TypeFor[proto.Message]()
	deterministic = proto.MarshalOptions{Deterministic: true}
)

// ContentType implements [codec.ContentTyper].
func (Format) ContentType() string { return "application/protobuf" }

// Marshal implements [codec.Format]. A nil message is an error: it would come back as an empty one.
func (Format) Marshal(value any) ([]byte, error) {
	m, is := value.(proto.Message)
	if !is {
		return nil, fmt.Errorf("%T is not a message", value)
	}
	if !m.ProtoReflect().IsValid() {
		return nil, errors.New("the message is nil")
	}
	return deterministic.Marshal(m)
}

// Unmarshal implements [codec.Format].
func (Format) Unmarshal(data []byte, into any) error {
	pointer := reflect.ValueOf(into).Elem() // CheckType has seen to it that it is one
	fresh := reflect.New(pointer.Type().Elem())
	if err := proto.Unmarshal(data, fresh.Interface().(proto.Message)); err != nil {
		return err
	}
	pointer.Set(fresh)
	return nil
}
