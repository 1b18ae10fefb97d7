package order

import (
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/saga"
)

// Fulfilling is what the saga knows of an order.
type Fulfilling struct {
	api.Order
	Reason string // why it fails
}

// Fulfilment directs the services: the goods are kept, the money is taken, the parcel goes. When one of
// them says no, what was done is undone in the reverse order, and the order is cancelled. The answers
// are events of the other services, which their relays bring to this one.
var Fulfilment = saga.Define("fulfilment", saga.Definition[Fulfilling]{
	Events: []*codec.Set{api.Events},
	On: []saga.Rule[Fulfilling]{
		saga.Begin(api.OrderOf[api.Placed], func(f *Fulfilling, e api.Placed, _ eventstore.Recorded) { f.Order = api.Order(e) }),
		saga.On[Fulfilling](api.OrderOf[api.Reserved], nil),
		saga.On(api.OrderOf[api.StockRefused], func(f *Fulfilling, e api.StockRefused, _ eventstore.Recorded) { f.Reason = e.Reason }),
		saga.On[Fulfilling](api.OrderOf[api.Taken], nil),
		saga.On(api.OrderOf[api.Declined], func(f *Fulfilling, e api.Declined, _ eventstore.Recorded) { f.Reason = e.Reason }),
		saga.On[Fulfilling](api.OrderOf[api.Sent], nil),
		saga.On(api.OrderOf[api.ShipmentRefused], func(f *Fulfilling, e api.ShipmentRefused, _ eventstore.Recorded) { f.Reason = e.Reason }),
	},
	Steps: []saga.Step[Fulfilling]{
		{
			Name: "accept",
			Do:   saga.Send("order.accept", func(f Fulfilling) api.Accept { return api.Accept{Order: f.ID} }),
			Undo: saga.Send("order.cancel", func(f Fulfilling) api.Cancel { return api.Cancel{Order: f.ID, Reason: f.Reason} }),
		},
		{
			Name:   "reserve",
			Do:     saga.Send("stock.reserve", func(f Fulfilling) api.Reserve { return api.Reserve(f.Order) }),
			Done:   []saga.Match{saga.By[api.Reserved]()},
			Failed: []saga.Match{saga.By[api.StockRefused]()},
			Undo:   saga.Send("stock.release", func(f Fulfilling) api.Release { return api.Release{Order: f.ID} }),
		},
		{
			Name:   "pay",
			Do:     saga.Send("payment.take", func(f Fulfilling) api.Take { return api.Take(f.Order) }),
			Done:   []saga.Match{saga.By[api.Taken]()},
			Failed: []saga.Match{saga.By[api.Declined]()},
			Undo:   saga.Send("payment.refund", func(f Fulfilling) api.Refund { return api.Refund{Order: f.ID} }),
		},
		{
			Name:   "ship",
			Do:     saga.Send("shipment.send", func(f Fulfilling) api.Send { return api.Send(f.Order) }),
			Done:   []saga.Match{saga.By[api.Sent]()},
			Failed: []saga.Match{saga.By[api.ShipmentRefused]()},
		},
		{
			Name: "fulfil",
			Do:   saga.Send("order.fulfil", func(f Fulfilling) api.Fulfil { return api.Fulfil{Order: f.ID} }),
		},
	},
	Retry: saga.Retry{First: 100 * time.Millisecond, Most: 5 * time.Second, Attempts: 1000}, // a service may be away for an hour
})
