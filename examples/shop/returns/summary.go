package returns

import (
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Summary is a return at a glance.
type Summary struct {
	InvoiceNo  string `leftfold:"key"`
	Customer   string
	AcceptedAt time.Time
	Lines      int64
	Units      int64
	Pence      int64
	Rejected   int64
}

// Summaries is the view of all returns.
var Summaries = projection.NewView("return_summaries", projection.ViewOptions{Version: 1, Indexes: []string{"pence"}},
	projection.When(func(s *Summary, e LineAccepted, _ eventstore.Recorded) {
		s.Customer, s.AcceptedAt = e.Customer, e.At
		s.Lines++
		s.Units += e.Quantity
		s.Pence += e.Pence()
	}),
	projection.When(func(s *Summary, _ LineRejected, _ eventstore.Recorded) { s.Rejected++ }))
