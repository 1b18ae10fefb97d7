package protobuf_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/protobuf"
	"github.com/leftfold/leftfold/eventstore/codec/protobuf/internal/orderpb"
	"github.com/leftfold/leftfold/projection"
)

var placedEvent = codec.Event[*orderpb.Placed]("order.placed", codec.In(protobuf.Format{}), codec.Version(2),
	codec.Upcast(1, func(old *orderpb.PlacedV1) (*orderpb.Placed, error) {
		cents, err := parseCents(old.GetTotal())
		return &orderpb.Placed{Customer: old.GetCustomer(), Cents: cents, Currency: "EUR"}, err
	}),
	codec.Tags(func(e *orderpb.Placed) []eventstore.Tag {
		return []eventstore.Tag{eventstore.NewTag("customer", e.GetCustomer())}
	}))

func mustSet(t testing.TB, definitions ...codec.Definition) *codec.Set {
	t.Helper()
	set, err := codec.NewSet(definitions...)
	require.NoError(t, err)
	return set
}

func recorded(data eventstore.EventData) eventstore.Recorded {
	return eventstore.Recorded{EventData: data, Stream: "order-1", Version: 1, Position: 1}
}

func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	payload, err := proto.Marshal(m)
	require.NoError(t, err)
	return payload
}

// full has something in every field.
func full() *orderpb.Placed {
	return &orderpb.Placed{
		Customer: "ada", Cents: math.MaxInt64, Currency: "EUR", Signature: []byte{0, 0xff, 0xfe},
		Lines:  []*orderpb.Line{{Item: "cup", Price: 0.1}, {Item: "lamp", Price: 2.5}},
		Labels: map[string]string{"b": "2", "a": "1", "c": ""},
	}
}

func TestAMessageComesBackAsItWas(t *testing.T) {
	set := mustSet(t, placedEvent)
	data, err := set.Encode(full())
	require.NoError(t, err)
	assert.Equal(t, 2, data.SchemaVersion)
	assert.Equal(t, []eventstore.Tag{"customer:ada"}, data.Tags)
	again, err := set.Encode(full())
	require.NoError(t, err)
	assert.Equal(t, data.Data, again.Data, "the same message is the same bytes")

	events, err := set.Decode(recorded(data))
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.True(t, proto.Equal(full(), events[0].(*orderpb.Placed)))

	clear(data.Data)
	assert.True(t, proto.Equal(full(), events[0].(*orderpb.Placed)), "it does not share the payload")
}

func TestAnOldMessageIsUpcast(t *testing.T) {
	set := mustSet(t, placedEvent)
	events, err := set.Decode(recorded(eventstore.EventData{
		Type: "order.placed", SchemaVersion: 1, Data: wire(t, &orderpb.PlacedV1{Customer: "ada", Total: "12.50"}),
	}))
	require.NoError(t, err)
	assert.True(t, proto.Equal(&orderpb.Placed{Customer: "ada", Cents: 1250, Currency: "EUR"}, events[0].(proto.Message)))
}

func TestTypesThatAreNoMessagesAreRefused(t *testing.T) {
	in := codec.In(protobuf.Format{})
	for says, definition := range map[string]codec.Definition{
		"orderpb.Line is a message, which must not be copied; the event's type is *orderpb.Line": codec.Event[orderpb.Line]("a", in),
		"int is not a pointer to a message":               codec.Event[int]("a", in),
		"*int is not a pointer to a message":              codec.Event[*int]("a", in),
		"protoreflect.ProtoMessage is not a pointer to a": codec.Event[proto.Message]("a", in),
		"**orderpb.Line is not a pointer to a message":    codec.Event[**orderpb.Line]("a", in),
		"*orderpb.Line is not a value type":               codec.Event[*orderpb.Line]("a"),
		"protobuf_test.old is not a pointer to a message": codec.Event[*orderpb.Line]("a", in, codec.Version(2), codec.Upcast(1, func(old) (*orderpb.Line, error) { return nil, nil })),
	} {
		_, err := codec.NewSet(definition)
		assert.ErrorContains(t, err, says)
	}
	require.NoError(t, protobuf.Format{}.CheckType(reflect.TypeFor[*timestamppb.Timestamp]()))
}

type old struct{ Item string }

func TestANilMessageIsNotStored(t *testing.T) {
	set := mustSet(t, codec.Event[*orderpb.Line]("line", codec.In(protobuf.Format{})))
	_, err := set.Encode((*orderpb.Line)(nil))
	require.ErrorContains(t, err, "encode event line: the message is nil")
	data, err := set.Encode(&orderpb.Line{})
	require.NoError(t, err)
	events, err := set.Decode(recorded(data))
	require.NoError(t, err)
	assert.True(t, proto.Equal(&orderpb.Line{}, events[0].(proto.Message)), "an empty one is")
}

func TestBrokenPayloadsAndTextsAreErrors(t *testing.T) {
	set := mustSet(t, placedEvent)
	var failure *codec.DecodeError
	for _, payload := range [][]byte{{0xff}, {0x0a, 0x05, 'a'}, {0x0a, 0x01, 0xff}, []byte(`{"customer":"ada"}`)} {
		_, err := set.Decode(recorded(eventstore.EventData{Type: "order.placed", SchemaVersion: 2, Data: payload}))
		assert.ErrorAs(t, err, &failure, "%q", payload)
	}
	_, err := set.Encode(&orderpb.Placed{Customer: "\xff"})
	require.ErrorContains(t, err, "invalid UTF-8")
}

// A program that does not know a field keeps it, and does not see it.
func TestFieldsThatAMessageDoesNotKnowAreNamed(t *testing.T) {
	narrow := mustSet(t, codec.Event[*orderpb.PlacedNarrow]("order.placed", codec.In(protobuf.Format{})))
	stored := recorded(eventstore.EventData{Type: "order.placed", SchemaVersion: 1, Data: wire(t, full())})
	losses, err := narrow.Losses(stored)
	require.NoError(t, err)
	assert.Equal(t, []codec.Loss{
		{Field: "2", Why: "message leftfold.order.PlacedNarrow does not have field 2"},
		{Field: "3", Why: "message leftfold.order.PlacedNarrow does not have field 3"},
		{Field: "5", Why: "message leftfold.order.PlacedNarrow does not have field 5"},
		{Field: "6", Why: "message leftfold.order.PlacedNarrow does not have field 6"},
		{Field: "lines[0].2", Why: "message leftfold.order.LineNarrow does not have field 2"},
		{Field: "lines[1].2", Why: "message leftfold.order.LineNarrow does not have field 2"},
	}, losses)

	stored.SchemaVersion = 2
	losses, err = mustSet(t, placedEvent).Losses(stored)
	require.NoError(t, err)
	assert.Empty(t, losses)
}

// Orders are an aggregate whose events are messages.
var Orders = aggregate.Define("order", func(event proto.Message, cents *int64) {
	switch e := event.(type) {
	case *orderpb.Placed:
		*cents += e.GetCents()
	}
}, placedEvent)

type spent struct {
	Customer string `leftfold:"key"`
	Cents    int64
	Labels   map[string]string
}

var spending = projection.NewView("spending", projection.ViewOptions{Version: 1},
	projection.WhenKeyed(func(e *orderpb.Placed, _ eventstore.Recorded) string { return e.GetCustomer() },
		func(s *spent, e *orderpb.Placed, _ eventstore.Recorded) {
			s.Cents += e.GetCents()
			s.Labels = e.GetLabels()
		}))

// The payload is stored byte for byte, text or not, and folded into states and rows.
func TestMessagesThroughAStoreAnAggregateAndAView(t *testing.T) {
	file, err := sqlite.Open(t.Context(), t.TempDir()+"/orders.db", sqlite.Options{})
	require.NoError(t, err)
	defer file.Close(t.Context())
	for name, parts := range map[string]struct {
		store eventstore.Store
		sink  projection.Sink
	}{"memory": {memory.NewStore(), memory.NewSink()}, "sqlite": {file, file.Sink()}} {
		orders := aggregate.NewRepository(parts.store, Orders)
		old := eventstore.EventData{Type: "order.placed", SchemaVersion: 1, Data: wire(t, &orderpb.PlacedV1{Customer: "ada", Total: "1.00"})}
		_, err := parts.store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{old}}}})
		require.NoError(t, err, name)
		_, err = orders.Execute(t.Context(), "1", func(cents int64) ([]proto.Message, error) {
			require.Equal(t, int64(100), cents)
			return []proto.Message{&orderpb.Placed{Customer: "ada", Cents: 7, Labels: map[string]string{"a": "b"}, Signature: []byte{0xff, 0}}}, nil
		})
		require.NoError(t, err, name)

		runner := projection.Runner{Log: parts.store, Events: Orders.Events(), Tasks: []projection.Task{projection.Into(parts.sink, spending)}}
		require.NoError(t, runner.CatchUp(t.Context()), name)
		row, err := projection.NewReader(parts.sink, spending).Get(t.Context(), "ada")
		require.NoError(t, err, name)
		assert.Equal(t, spent{"ada", 107, map[string]string{"a": "b"}}, row, name)
	}
}

func TestASetSaysThatPayloadsAreProtobuf(t *testing.T) {
	assert.Equal(t, "application/protobuf", mustSet(t, placedEvent).Types()[0].ContentType)
}
