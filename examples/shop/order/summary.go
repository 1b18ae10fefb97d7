package order

import (
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Summary is an order at a glance.
type Summary struct {
	InvoiceNo string `leftfold:"key"`
	Customer  string
	Country   string
	PlacedAt  time.Time
	Lines     int64
	Units     int64
	Pence     int64
	Rejected  int64
}

// Summaries is the view of all orders.
var Summaries = projection.NewView("order_summaries", projection.ViewOptions{Version: 1, Indexes: []string{"pence"}},
	projection.When(func(s *Summary, e LineSold, _ eventstore.Recorded) {
		if s.Lines == 0 {
			s.Customer, s.Country, s.PlacedAt = e.Customer, e.Country, e.At
		}
		s.Lines++
		s.Units += e.Quantity
		s.Pence += e.Pence()
	}),
	projection.When(func(s *Summary, _ LineRejected, _ eventstore.Recorded) { s.Rejected++ }))
