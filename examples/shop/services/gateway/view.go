package gateway

import (
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/projection"
)

// Detail is all that is known about an order. It is a row of the view, and what a composition is made
// into, so that the two can be compared.
type Detail struct {
	Order    string `leftfold:"key" json:"order"`
	Customer string `json:"customer,omitempty"`
	Country  string `json:"country"`
	Pence    int64  `json:"pence"`
	Status   string `json:"status"`
	Stock    string `json:"stock,omitempty"`
	Payment  string `json:"payment,omitempty"`
	Shipment string `json:"shipment,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Applied  int64  `json:"-"` // how many events made the row
}

// Details are the view: rows that are kept ready, of what the relays of the four services tell. Events
// of different services may come in any order; so each of them changes a field that is its own. Its
// version is that of the program; a higher one is built anew beside the live one.
func Details(version int) *projection.View[Detail] {
	return projection.NewView("details", projection.ViewOptions{Version: version}, rules...)
}

var rules = []projection.Rule[Detail]{
	projection.When(func(d *Detail, e api.Placed, _ eventstore.Recorded) {
		o := api.Order(e)
		d.Customer, d.Country, d.Pence = o.Customer, o.Country, o.Pence()
		d.becomes(&d.Status, "placed")
	}),
	projection.When(func(d *Detail, _ api.Accepted, _ eventstore.Recorded) { d.becomes(&d.Status, "accepted") }),
	projection.When(func(d *Detail, _ api.Fulfilled, _ eventstore.Recorded) { d.becomes(&d.Status, "fulfilled") }),
	projection.When(func(d *Detail, e api.Cancelled, _ eventstore.Recorded) {
		d.becomes(&d.Status, "cancelled")
		d.Reason = e.Reason
	}),
	projection.When(func(d *Detail, _ api.Reserved, _ eventstore.Recorded) { d.becomes(&d.Stock, "reserved") }),
	projection.When(func(d *Detail, _ api.StockRefused, _ eventstore.Recorded) { d.becomes(&d.Stock, "refused") }),
	projection.When(func(d *Detail, _ api.Released, _ eventstore.Recorded) { d.becomes(&d.Stock, "released") }),
	projection.When(func(d *Detail, _ api.Taken, _ eventstore.Recorded) { d.becomes(&d.Payment, "taken") }),
	projection.When(func(d *Detail, _ api.Declined, _ eventstore.Recorded) { d.becomes(&d.Payment, "declined") }),
	projection.When(func(d *Detail, _ api.Refunded, _ eventstore.Recorded) { d.becomes(&d.Payment, "refunded") }),
	projection.When(func(d *Detail, _ api.Sent, _ eventstore.Recorded) { d.becomes(&d.Shipment, "sent") }),
	projection.When(func(d *Detail, _ api.ShipmentRefused, _ eventstore.Recorded) { d.becomes(&d.Shipment, "refused") }),
}

func (d *Detail) becomes(field *string, what string) { *field, d.Applied = what, d.Applied+1 }
