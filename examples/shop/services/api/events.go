package api

import (
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// What happens to an order, in the streams "order-<id>".
type (
	Placed    Order
	Accepted  struct{}
	Fulfilled struct{}
	Cancelled struct{ Reason string }
)

// What happens on the shelf of an item, in the streams "item-<item>", and to the goods of an order, in
// "reservation-<order>".
type (
	Received struct{ Quantity int64 }
	Picked   struct {
		Order    string
		Quantity int64
	}
	PutBack Picked

	Reserved     Order
	StockRefused struct{ Reason string }
	Released     struct{}
)

// What happens to the money of an order, in the streams "payment-<order>".
type (
	Taken    struct{ Order Order }
	Declined struct{ Reason string }
	Refunded struct{ Pence int64 }
)

// What happens to its parcel, in the streams "shipment-<order>".
type (
	Sent            struct{ Country string }
	ShipmentRefused struct{ Reason string }
)

// The events of each service, under the names that they are stored and published by.
var (
	OfOrder = []codec.Definition{
		codec.Event[Placed]("order.placed"), codec.Event[Accepted]("order.accepted"),
		codec.Event[Fulfilled]("order.fulfilled"), codec.Event[Cancelled]("order.cancelled"),
	}
	OfItem = []codec.Definition{
		codec.Event[Received]("stock.received"), codec.Event[Picked]("stock.picked"), codec.Event[PutBack]("stock.put_back"),
	}
	OfReservation = []codec.Definition{
		codec.Event[Reserved]("stock.reserved"), codec.Event[StockRefused]("stock.refused"), codec.Event[Released]("stock.released"),
	}
	OfPayment = []codec.Definition{
		codec.Event[Taken]("payment.taken"), codec.Event[Declined]("payment.declined"), codec.Event[Refunded]("payment.refunded"),
	}
	OfShipment = []codec.Definition{
		codec.Event[Sent]("shipment.sent"), codec.Event[ShipmentRefused]("shipment.refused"),
	}
)

// Set returns the set of the events of a service.
func Set(events ...[]codec.Definition) *codec.Set {
	set, err := codec.NewSet(slices.Concat(events...)...)
	if err != nil {
		panic(err) // the definitions above clash
	}
	return set
}

// Events are those of all services.
var Events = Set(OfOrder, OfItem, OfReservation, OfPayment, OfShipment)

// OrderOf is the id of the order that an event is about: every stream but those of items is named by it.
func OrderOf[E any](_ E, m eventstore.Recorded) string { return m.Stream.ID() }
