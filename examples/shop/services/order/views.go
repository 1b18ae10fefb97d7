package order

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/projection"
)

// Summary is an order in the read model.
type Summary struct {
	Order    string `leftfold:"key" json:"order"`
	Customer string `json:"customer,omitempty"`
	Country  string `json:"country"`
	Units    int64  `json:"units"`
	Pence    int64  `json:"pence"`
	Status   string `json:"status"` // placed, accepted, fulfilled, cancelled
	Reason   string `json:"reason,omitempty"`
	Applied  int64  `json:"-"` // how many events made the row
}

// Totals count all orders.
type Totals struct {
	Key       string `leftfold:"key" json:"-"`
	Placed    int64  `json:"placed"`
	Fulfilled int64  `json:"fulfilled"`
	Cancelled int64  `json:"cancelled"`
}

// Open is how many have not ended.
func (t Totals) Open() int64 { return t.Placed - t.Fulfilled - t.Cancelled }

// Overall returns the totals, as far as the read model has come.
func Overall(ctx context.Context, from projection.Readable) (Totals, error) {
	t, err := projection.NewReader(from, AllTotals).Get(ctx, everything)
	if errors.Is(err, projection.ErrNotFound) {
		err = nil // nothing was ordered yet
	}
	return t, err
}

const everything = "all" // the key of the only row

// The read models.
var (
	Summaries = projection.NewView("orders", projection.ViewOptions{Version: 1},
		projection.When(func(s *Summary, e api.Placed, _ eventstore.Recorded) {
			o := api.Order(e)
			s.Customer, s.Country, s.Units, s.Pence = o.Customer, o.Country, o.Units(), o.Pence()
			s.becomes("placed", "")
		}),
		projection.When(func(s *Summary, _ api.Accepted, _ eventstore.Recorded) { s.becomes("accepted", "") }),
		projection.When(func(s *Summary, _ api.Fulfilled, _ eventstore.Recorded) { s.becomes("fulfilled", "") }),
		projection.When(func(s *Summary, e api.Cancelled, _ eventstore.Recorded) { s.becomes("cancelled", e.Reason) }))

	AllTotals = projection.NewView("totals", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(all[api.Placed], func(t *Totals, _ api.Placed, _ eventstore.Recorded) { t.Placed++ }),
		projection.WhenKeyed(all[api.Fulfilled], func(t *Totals, _ api.Fulfilled, _ eventstore.Recorded) { t.Fulfilled++ }),
		projection.WhenKeyed(all[api.Cancelled], func(t *Totals, _ api.Cancelled, _ eventstore.Recorded) { t.Cancelled++ }))
)

func all[E any](E, eventstore.Recorded) string { return everything }

func (s *Summary) becomes(status, reason string) {
	s.Status, s.Reason, s.Applied = status, reason, s.Applied+1
}
