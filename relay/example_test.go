package relay_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/relay/relaytest"
)

// orders returns a store in which some things happened.
func orders() *memory.Store {
	store := memory.NewStore()
	for _, e := range []struct {
		stream eventstore.StreamID
		what   string
		data   string
	}{
		{"order-1", "order.placed", `{"total":450,"card":"4000-1234"}`},
		{"order-2", "order.placed", `{"total":1999,"card":"4000-5678"}`},
		{"order-1", "order.reviewed", `{"by":"bob"}`},
		{"order-1", "order.shipped", `{}`},
	} {
		_, err := store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: e.stream, Events: []eventstore.EventData{{Type: e.what, Data: []byte(e.data)}}},
		}})
		if err != nil {
			panic(err)
		}
	}
	return store
}

// A relay publishes what was appended. A service calls Run, which does not return; CatchUp is for a
// program that runs now and then.
func ExampleRelay() {
	ctx := context.Background()
	bus := &relaytest.Bus{}
	r := relay.Relay{Name: "orders_out", Log: orders(), Sink: memory.NewSink(), Publisher: bus}
	if err := r.CatchUp(ctx); err != nil {
		panic(err)
	}
	for _, m := range bus.Messages() {
		fmt.Println(m.Key, m.Version, m.Type)
	}
	// Output:
	// order-1 1 order.placed
	// order-2 1 order.placed
	// order-1 2 order.reviewed
	// order-1 3 order.shipped
}

// What others see need not be what is stored: Translate makes a public event of an internal one, or
// keeps it to ourselves.
func ExampleRelay_translate() {
	bus := &relaytest.Bus{}
	r := relay.Relay{
		Name: "orders_out", Log: orders(), Sink: memory.NewSink(), Publisher: bus,
		Query: eventstore.Types("order.placed", "order.reviewed"),
		Translate: func(m *relay.Message, _ eventstore.Recorded) (publish bool, err error) {
			if m.Type != "order.placed" {
				return false, nil
			}
			total, _, _ := strings.Cut(string(m.Data), `,"card"`)
			m.Type, m.Data = "shop.order-received.v1", []byte(total+"}")
			return true, nil
		},
	}
	if err := r.CatchUp(context.Background()); err != nil {
		panic(err)
	}
	for _, m := range bus.Messages() {
		fmt.Println(m.Key, m.Type, string(m.Data))
	}
	// Output:
	// order-1 shop.order-received.v1 {"total":450}
	// order-2 shop.order-received.v1 {"total":1999}
}

// An event that the bus refuses for good is a dead letter. Its key waits behind it, the others go on.
// When people have mended the cause the key is taken up again.
func ExampleRelay_DeadLetters() {
	ctx := context.Background()
	bus := &relaytest.Bus{Most: relay.Limits{MessageBytes: 50}}
	r := relay.Relay{Name: "orders_out", Log: orders(), Sink: memory.NewSink(), Publisher: bus}
	if err := r.CatchUp(ctx); err != nil {
		panic(err)
	}
	letters, err := r.DeadLetters(ctx)
	if err != nil {
		panic(err)
	}
	for _, l := range letters {
		fmt.Println(l.Key, "at position", l.Event.Position, string(l.Recorded.Data))
		fmt.Println(l.Cause)
	}

	bus.Most.MessageBytes = 1000
	if err := r.Retry(ctx, "order-1"); err != nil {
		panic(err)
	}
	if err := r.Skip(ctx, "order-2", 2); err != nil {
		panic(err)
	}
	for _, m := range bus.Messages() {
		fmt.Println(m.Key, m.Version, m.Type)
	}
	// Output:
	// order-1 at position 1 {"total":450,"card":"4000-1234"}
	// message order.placed: bytes as the bus counts them too large: 51, the limit is 50; keep the large part elsewhere and have Translate publish where it is (a claim check)
	// order-2 at position 2 {"total":1999,"card":"4000-5678"}
	// message order.placed: bytes as the bus counts them too large: 52, the limit is 50; keep the large part elsewhere and have Translate publish where it is (a claim check)
	// order-1 1 order.placed
	// order-1 2 order.reviewed
	// order-1 3 order.shipped
}

// A relay that is new begins where people say: here with what comes from now on.
func ExampleRelay_MoveTo() {
	ctx := context.Background()
	store, bus := orders(), &relaytest.Bus{}
	r := relay.Relay{Name: "orders_out", Log: store, Sink: memory.NewSink(), Publisher: bus}
	head, err := store.Head(ctx)
	if err != nil {
		panic(err)
	}
	if err := r.MoveTo(ctx, head.Position); err != nil {
		panic(err)
	}
	if err := r.CatchUp(ctx); err != nil {
		panic(err)
	}
	status, err := r.Status(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(bus.Messages()), "messages, at position", status.Position, "of", status.Head)
	// Output: 0 messages, at position 4 of 4
}

// Another store takes each event once, however often it is published.
func ExampleStorePublisher() {
	ctx := context.Background()
	shop, warehouse := orders(), memory.NewStore()
	for range 2 { // the second one has forgotten how far it was
		r := relay.Relay{
			Name: "to_warehouse", Log: shop, Sink: memory.NewSink(), Query: eventstore.Types("order.placed"),
			Publisher: relay.StorePublisher{Store: warehouse, Stream: func(m relay.Message) eventstore.StreamID { return "incoming-" + m.Stream }},
		}
		if err := r.CatchUp(ctx); err != nil {
			panic(err)
		}
	}
	for e, err := range warehouse.ReadStream(ctx, "incoming-order-1", eventstore.StreamRange{}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(e.Stream, e.Version, e.Type)
	}
	// Output: incoming-order-1 1 order.placed
}

// Messages are CloudEvents for those that want them.
func ExampleMessage_CloudEvent() {
	m := relay.Message{
		ID: "5d41402abc4b2a76b9719d911017c592", Key: "order-1", Source: eventstore.StoreID{1},
		Stream: "order-1", Version: 3, Position: 17, EventID: eventstore.EventID{2},
		Type: "order.placed", SchemaVersion: 1, Data: []byte(`{"total":450}`),
		Metadata:   eventstore.Metadata{eventstore.MetadataCorrelationID: "c-1", eventstore.MetadataActor: "ann"},
		RecordedAt: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
	}
	text, err := m.CloudEvent()
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.ReplaceAll(string(text), `,"`, ",\n\""))
	// Output:
	// {"specversion":"1.0",
	// "id":"5d41402abc4b2a76b9719d911017c592",
	// "source":"urn:leftfold:01000000-0000-0000-0000-000000000000",
	// "type":"order.placed",
	// "subject":"order-1",
	// "time":"2026-11-26T12:00:00Z",
	// "partitionkey":"order-1",
	// "sequence":"00000000000000000003",
	// "streamversion":"3",
	// "position":"17",
	// "eventid":"02000000-0000-0000-0000-000000000000",
	// "schemaversion":1,
	// "correlationid":"c-1",
	// "actor":"ann",
	// "datacontenttype":"application/json",
	// "data":{"total":450}}
}
