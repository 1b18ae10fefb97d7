package api

import "encoding/json"

// Commands, by the service that handles them. Each has the name that stands beside it.
type (
	Place  Order // order.place
	Accept struct {
		Order string `json:"order"`
	} // order.accept
	Cancel struct {
		Order  string `json:"order"`
		Reason string `json:"reason"`
	} // order.cancel
	Fulfil struct {
		Order string `json:"order"`
	} // order.fulfil

	// Receive is a delivery, which has no prices: stock.receive.
	Receive struct {
		Lines []Line `json:"lines"`
	}
	Reserve Order // stock.reserve
	Release struct {
		Order string `json:"order"`
	} // stock.release

	Take   Order // payment.take
	Refund struct {
		Order string `json:"order"`
	} // payment.refund

	Send Order // shipment.send

	// Hear is how a service is told of events of another one: CloudEvents, as relays write them.
	// Every service handles it: events.hear.
	Hear struct {
		Events []json.RawMessage `json:"events"`
	}
)

// Validate implements command.Validator.
func (p Place) Validate() error { return Order(p).check() }

// Validate implements command.Validator.
func (r Receive) Validate() error { return checkLines(r.Lines) }

// Questions, by the service that answers them.
type (
	GetOrder struct {
		Order string `json:"order"`
	} // order.get
	GetTotals struct{} // order.totals
	GetStock  struct {
		Item string `json:"item"`
	} // stock.get
	GetReservation struct {
		Order string `json:"order"`
	} // stock.reservation
	GetPayment struct {
		Order string `json:"order"`
	} // payment.get
	GetShipment struct {
		Order string `json:"order"`
	} // shipment.get
)
