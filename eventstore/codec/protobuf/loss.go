package protobuf

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leftfold/leftfold/eventstore/codec"
)

// Losses implements [codec.LossFinder]: it names the fields that the message does not know, by their
// numbers, wherever in it they are.
func (Format) Losses(_ []byte, value any) (losses []codec.Loss, err error) {
	m := value.(proto.Message).ProtoReflect()
	err = protorange.Range(m, func(at protopath.Values) error {
		last := at.Index(-1)
		if inner, is := last.Value.Interface().(protoreflect.Message); is {
			losses = append(losses, unknown(strings.TrimPrefix(at.Path[1:].String(), "."), inner)...)
		}
		return nil
	})
	slices.SortStableFunc(losses, func(a, b codec.Loss) int { return strings.Compare(a.Field, b.Field) }) // maps have no order
	return losses, err
}

// unknown names each unknown field of one message once.
func unknown(path string, m protoreflect.Message) (losses []codec.Loss) {
	seen := map[protowire.Number]bool{}
	for rest := m.GetUnknown(); len(rest) > 0; {
		number, _, size := protowire.ConsumeField(rest)
		if size < 0 {
			break // it has been decoded, so it is well formed
		}
		rest = rest[size:]
		if seen[number] {
			continue
		}
		seen[number] = true
		field := fmt.Sprint(number)
		if path != "" {
			field = path + "." + field
		}
		losses = append(losses, codec.Loss{Field: field, Why: fmt.Sprintf("message %s does not have field %d", m.Descriptor().FullName(), number)})
	}
	return losses
}
