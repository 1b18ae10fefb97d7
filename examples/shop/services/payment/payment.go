// Package payment is the service that takes money for orders, and gives it back.
package payment

import (
	"context"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// payment is what is known of the money of an order.
type payment struct {
	Asked bool
	Held  int64 // pence that were taken and not given back
}

func (p *payment) apply(event any) {
	switch e := event.(type) {
	case api.Taken:
		p.Asked, p.Held = true, e.Order.Pence()
	case api.Declined:
		p.Asked = true
	case api.Refunded:
		p.Held -= e.Pence
	}
}

var payments = aggregate.Define("payment", func(e any, p *payment) { p.apply(e) }, api.OfPayment...)

// take takes the money, unless there is a reason not to. That it was declined is an event too: others
// are told what became of it, whoever asked for it.
func take(o api.Order, reason string) aggregate.Decision[payment, any] {
	return func(p payment) ([]any, error) {
		switch {
		case p.Asked:
			return nil, nil
		case reason != "":
			return []any{api.Declined{Reason: reason}}, nil
		}
		return []any{api.Taken{Order: o}}, nil
	}
}

// refund gives back what is held.
func refund(p payment) ([]any, error) {
	if p.Held == 0 {
		return nil, nil
	}
	return []any{api.Refunded{Pence: p.Held}}, nil
}

// Row is a payment in the read model.
type Row struct {
	Order    string `leftfold:"key" json:"order"`
	Status   string `json:"status"` // taken, declined, refunded
	Reason   string `json:"reason,omitempty"`
	Taken    int64  `json:"takenPence"`
	Refunded int64  `json:"refundedPence"`
	Applied  int64  `json:"-"` // how many events made the row
}

// Payments are the read model.
var Payments = projection.NewView("payments", projection.ViewOptions{Version: 1},
	projection.When(func(r *Row, e api.Taken, _ eventstore.Recorded) {
		r.Status, r.Taken, r.Applied = "taken", e.Order.Pence(), r.Applied+1
	}),
	projection.When(func(r *Row, e api.Declined, _ eventstore.Recorded) {
		r.Status, r.Reason, r.Applied = "declined", e.Reason, r.Applied+1
	}),
	projection.When(func(r *Row, e api.Refunded, _ eventstore.Recorded) {
		r.Status, r.Refunded, r.Applied = "refunded", r.Refunded+e.Pence, r.Applied+1
	}))

// Service is the service. Declines says why an order is not paid for; empty: it is.
func Service(declines func(o api.Order) (reason string)) host.Service {
	return host.Service{
		Name:   "payment",
		Events: api.Set(api.OfPayment),
		Views:  []host.View{host.Keep(Payments)},
		Aggregates: func(store aggregate.Store) []cli.Aggregate {
			return []cli.Aggregate{cli.Of(store, payments)}
		},
		Commands: func(bus *command.Bus, store aggregate.Store, _ *aggregate.Snapshots) {
			r := aggregate.NewRepository(store, payments)
			command.Handle(bus, "payment.take", func(ctx context.Context, c api.Take) (eventstore.Receipt, error) {
				return r.Execute(ctx, c.ID, take(api.Order(c), declines(api.Order(c))))
			})
			command.Handle(bus, "payment.refund", func(ctx context.Context, c api.Refund) (eventstore.Receipt, error) {
				return r.Execute(ctx, c.Order, refund)
			})
		},
		Queries: func(bus *query.Bus, from projection.Readable) {
			rows := projection.NewReader(from, Payments)
			query.Handle(bus, "payment.get", func(ctx context.Context, q api.GetPayment) (Row, error) {
				return rows.Get(ctx, q.Order)
			}, query.Reads(Payments.Name()))
		},
	}
}
