// Package choreography is the other way to fulfil an order: nobody directs. Each service hears events
// of others, and knows itself what they mean for it. What one service does because of an event is one
// line here; what becomes of an order stands nowhere, and is all of them together.
package choreography

import (
	"context"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/saga"
)

// Reactions are what each service does because of events, its own and those of others.
var Reactions = map[string][]saga.Saga{
	"inventory": {
		on("reserve_when_placed", "stock.reserve", func(e api.Placed, _ string) any { return api.Reserve(e) }),
		on("release_when_declined", "stock.release", func(_ api.Declined, order string) any { return api.Release{Order: order} }),
		on("release_when_refunded", "stock.release", func(_ api.Refunded, order string) any { return api.Release{Order: order} }),
	},
	"payment": {
		on("take_when_reserved", "payment.take", func(e api.Reserved, _ string) any { return api.Take(e) }),
		on("refund_when_not_sent", "payment.refund", func(_ api.ShipmentRefused, order string) any { return api.Refund{Order: order} }),
	},
	"shipping": {
		on("send_when_taken", "shipment.send", func(e api.Taken, _ string) any { return api.Send(e.Order) }),
	},
	"order": {
		on("fulfil_when_sent", "order.fulfil", func(_ api.Sent, order string) any { return api.Fulfil{Order: order} }),
		on("cancel_when_short", "order.cancel", func(e api.StockRefused, order string) any { return api.Cancel{Order: order, Reason: e.Reason} }),
		on("cancel_when_declined", "order.cancel", func(e api.Declined, order string) any { return api.Cancel{Order: order, Reason: e.Reason} }),
		on("cancel_when_not_sent", "order.cancel", func(e api.ShipmentRefused, order string) any { return api.Cancel{Order: order, Reason: e.Reason} }),
	},
}

// Listens says whose events each service hears.
var Listens = map[string][]string{
	"inventory": {"order", "payment"},
	"payment":   {"inventory", "shipping"},
	"shipping":  {"payment"},
	"order":     {"inventory", "payment", "shipping"},
}

// on is a reaction: an event of type E, to an order, becomes a command to the service itself.
func on[E any](name, command string, becomes func(e E, order string) any) saga.Saga {
	return saga.React(name, saga.ReactOptions{Events: []*codec.Set{api.Events}, Retry: saga.Retry{First: 100 * time.Millisecond, Most: 5 * time.Second}},
		func(_ context.Context, e E, m eventstore.Recorded) ([]saga.Request, error) {
			return []saga.Request{{Name: command, Payload: becomes(e, m.Stream.ID())}}, nil
		})
}
