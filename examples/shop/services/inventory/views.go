package inventory

import (
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/projection"
)

// Level is how many of an item there are, in the read model.
type Level struct {
	Item    string `leftfold:"key" json:"item"`
	OnHand  int64  `json:"onHand"`
	Applied int64  `json:"-"` // how many events made the row
}

// Row is what is kept for an order, in the read model.
type Row struct {
	Order   string `leftfold:"key" json:"order"`
	Status  string `json:"status"` // reserved, refused, released
	Reason  string `json:"reason,omitempty"`
	Units   int64  `json:"units"`
	Applied int64  `json:"-"`
}

// The read models.
var (
	Levels = projection.NewView("levels", projection.ViewOptions{Version: 1},
		projection.When(func(l *Level, e api.Received, _ eventstore.Recorded) { l.moved(e.Quantity) }),
		projection.When(func(l *Level, e api.Picked, _ eventstore.Recorded) { l.moved(-e.Quantity) }),
		projection.When(func(l *Level, e api.PutBack, _ eventstore.Recorded) { l.moved(e.Quantity) }))

	Reservations = projection.NewView("reservations", projection.ViewOptions{Version: 1},
		projection.When(func(r *Row, e api.Reserved, _ eventstore.Recorded) { r.becomes("reserved", "", api.Order(e).Units()) }),
		projection.When(func(r *Row, e api.StockRefused, _ eventstore.Recorded) { r.becomes("refused", e.Reason, 0) }),
		projection.When(func(r *Row, _ api.Released, _ eventstore.Recorded) { r.becomes("released", "", r.Units) }))
)

func (l *Level) moved(by int64) { l.OnHand, l.Applied = l.OnHand+by, l.Applied+1 }

func (r *Row) becomes(status, reason string, units int64) {
	r.Status, r.Reason, r.Units, r.Applied = status, reason, units, r.Applied+1
}
