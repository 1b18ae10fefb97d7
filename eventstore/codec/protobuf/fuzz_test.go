package protobuf_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/protobuf/internal/orderpb"
)

// What can be decoded can be stored, and comes back as it was.
func FuzzDecodedMessagesComeBack(f *testing.F) {
	f.Add(1, wire(f, &orderpb.PlacedV1{Customer: "ada", Total: "12.50"}))
	f.Add(2, wire(f, full()))
	f.Add(2, []byte{0xff, 0x01})
	set := mustSet(f, placedEvent)
	f.Fuzz(func(t *testing.T, version int, data []byte) {
		stored := recorded(eventstore.EventData{Type: "order.placed", SchemaVersion: version, Data: data})
		_, err := set.Losses(stored)
		_, panicked := errors.AsType[*codec.PanicError](err)
		require.False(t, panicked, "%v", err)
		events, err := set.Decode(stored)
		if err != nil {
			_, panicked := errors.AsType[*codec.PanicError](err)
			require.False(t, panicked, "%v", err)
			return
		}
		written, err := set.Encode(events[0])
		require.NoError(t, err)
		again, err := set.Decode(recorded(written))
		require.NoError(t, err)
		require.True(t, proto.Equal(events[0].(proto.Message), again[0].(proto.Message)))
	})
}
