package eventbridgebus_test

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

// delivered returns what EventBridge delivers of a stream's event.
func delivered(version eventstore.Version) []byte {
	detail, err := relay.Message{
		ID: fmt.Sprintf("%032x", version), Key: "order-1", Source: eventstore.StoreID{1}, Stream: "order-1", Version: version,
		Position: eventstore.Position(version), EventID: eventstore.EventID{byte(version)}, Type: "order.changed", SchemaVersion: 1, Data: []byte("{}"),
	}.CloudEvent()
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"detail-type":"order.changed","source":"shop.orders","detail":%s}`, detail)
}

// An inbox puts events into the order of their streams. A service gives Handle to a Consumer, or to
// Lambda, and the inbox to a projection.Runner as Log.
func ExampleInbox() {
	ctx := context.Background()
	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: eventstore.StoreID{1}}
	for _, version := range []eventstore.Version{2, 4, 1, 2} {
		if err := inbox.Handle(ctx, delivered(version)); err != nil {
			panic(err)
		}
	}
	read, err := inbox.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		panic(err)
	}
	for event, err := range read.Events() {
		fmt.Println(event.Stream, event.Version, err)
	}
	gaps, err := inbox.Gaps(ctx)
	fmt.Println("missing:", gaps[0].Stream, gaps[0].Missing, err)
	// Output:
	// order-1 1 <nil>
	// order-1 2 <nil>
	// missing: order-1 3 <nil>
}

// A doorbell has the read models catch up from the event store: the event itself is not used.
func ExampleDoorbell() {
	store := orders()
	head, err := store.Head(context.Background())
	if err != nil {
		panic(err)
	}
	detail, err := relay.Message{Source: head.Store, Stream: "order-1", Version: 1, Position: 1}.CloudEvent()
	if err != nil {
		panic(err)
	}
	bell := &eventbridgebus.Doorbell{Log: store, CatchUp: func(context.Context) error { // a Runner's
		fmt.Println("read the log up to", head.Position)
		return nil
	}}
	fmt.Println(bell.Handle(context.Background(), fmt.Appendf(nil, `{"detail":%s}`, detail)))
	// Output:
	// read the log up to 1
	// <nil>
}

// Rules keep live and replayed events apart.
func ExampleLivePattern() {
	fmt.Println(eventbridgebus.LivePattern("shop.orders"))
	fmt.Println(eventbridgebus.ReplayPattern("shop.orders"))
	// Output:
	// {"replay-name":[{"exists":false}],"source":["shop.orders"]}
	// {"replay-name":[{"exists":true}],"source":["shop.orders"]}
}

// orders returns a store in which an order was placed.
func orders() *memory.Store {
	store := memory.NewStore()
	_, err := store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.placed"}}},
	}})
	if err != nil {
		panic(err)
	}
	return store
}
