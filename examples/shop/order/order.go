// Package order records what the shop sells, invoice by invoice.
package order

import (
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

// Order is the state of an invoice: how many of its rows have been settled.
type Order struct {
	Sold, Rejected int
}

// Event is something that happened to an order.
type Event interface{ apply(*Order) }

// LineSold: goods left the shop. Row is the row's place in its command.
type LineSold struct {
	Row         int
	StockCode   string
	Description string
	Quantity    int64
	UnitPence   int64
	Customer    string `json:",omitempty"` // empty: a guest
	Country     string
	At          time.Time
}

// LineRejected: a row made no sense. Text is the row as it stood in the file.
type LineRejected struct {
	Row    int
	Reason retail.Reason
	Detail string `json:",omitempty"`
	Text   string
}

func (LineSold) apply(o *Order)     { o.Sold++ }
func (LineRejected) apply(o *Order) { o.Rejected++ }

// Pence returns what the line cost.
func (e LineSold) Pence() int64 { return e.Quantity * e.UnitPence }

// Orders are the shop's orders, in streams "order-<invoice number>".
var Orders = aggregate.Define("order", Event.apply,
	codec.Event[LineSold]("order.line_sold", codec.Tags(func(e LineSold) []eventstore.Tag {
		return SaleTags(e.Customer, e.StockCode)
	})),
	codec.Event[LineRejected]("order.line_rejected"))

// SaleTags are the tags by which a customer's purchases of an item are found.
func SaleTags(customer, stockCode string) []eventstore.Tag {
	tags := []eventstore.Tag{eventstore.NewTag("item", stockCode)}
	if customer != "" {
		tags = append(tags, eventstore.NewTag("customer", customer))
	}
	return tags
}

// Record decides on the rows of an invoice that are not adjustments: what makes
// sense is sold, the rest is rejected with its reason. Rows are settled for good, so an
// invoice that is seen again with other rows just has more of them.
func Record(rows map[int]retail.Row) aggregate.Decision[Order, Event] {
	return func(Order) ([]Event, error) {
		var events []Event
		for _, n := range sortedKeys(rows) {
			events = append(events, settle(n, rows[n]))
		}
		return events, nil
	}
}

func settle(n int, row retail.Row) Event {
	if kind, reason := row.Kind(); kind != retail.Sale {
		return LineRejected{Row: n, Reason: reason, Detail: row.Malformed, Text: row.Text}
	}
	return LineSold{
		Row: n, StockCode: row.StockCode, Description: row.Description,
		Quantity: row.Quantity, UnitPence: row.Price.Pence,
		Customer: row.Customer, Country: row.Country, At: row.At,
	}
}
