// Package returns takes goods back, but only what the customer has bought.
package returns

import (
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

// LineAccepted: goods came back. Quantity is positive. Row is the row's place in its command.
type LineAccepted struct {
	Row         int
	StockCode   string
	Description string
	Quantity    int64
	UnitPence   int64
	Customer    string
	At          time.Time
}

// LineRejected: a row of a return was refused or made no sense. Text is the row as it
// stood in the file.
type LineRejected struct {
	Row    int
	Reason retail.Reason
	Detail string `json:",omitempty"`
	Text   string
}

// Pence returns what the customer gets back.
func (e LineAccepted) Pence() int64 { return e.Quantity * e.UnitPence }

// Event is something that happened to a return.
type Event interface{ apply(*State) }

// State is the state of a return: how many of its rows have been settled.
type State struct {
	Accepted, Rejected int
}

func (LineAccepted) apply(s *State) { s.Accepted++ }
func (LineRejected) apply(s *State) { s.Rejected++ }

// Returns are the shop's returns, in streams "return-<invoice number>".
var Returns = aggregate.Define("return", Event.apply,
	codec.Event[LineAccepted]("return.line_accepted", codec.Tags(func(e LineAccepted) []eventstore.Tag {
		return order.SaleTags(e.Customer, e.StockCode)
	})),
	codec.Event[LineRejected]("return.line_rejected"))
