// Package order is the service that takes orders, and says what became of them.
package order

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Order is the state of an order: where it is in its life.
type Order struct {
	Placed, Ended bool
}

func (o *Order) apply(event any) {
	switch event.(type) {
	case api.Placed:
		o.Placed = true
	case api.Fulfilled, api.Cancelled:
		o.Ended = true
	}
}

// Orders are the streams "order-<id>".
var Orders = aggregate.Define("order", func(e any, o *Order) { o.apply(e) }, api.OfOrder...)

// Place takes an order, once.
func Place(o api.Order) aggregate.Decision[Order, any] {
	return func(before Order) ([]any, error) {
		if before.Placed {
			return nil, errors.New("the order has been placed before")
		}
		return []any{api.Placed(o)}, nil
	}
}

// become ends the order, or moves it on, unless it has ended: the first end counts.
func become(what any) aggregate.Decision[Order, any] {
	return func(o Order) ([]any, error) {
		if !o.Placed {
			return nil, errors.New("there is no such order")
		}
		if o.Ended {
			return nil, nil
		}
		return []any{what}, nil
	}
}

// Cancel ends the order without anything, and Fulfil with everything.
func Cancel(reason string) aggregate.Decision[Order, any] {
	return become(api.Cancelled{Reason: reason})
}
func Fulfil() aggregate.Decision[Order, any] { return become(api.Fulfilled{}) }

// Placing places orders; where a transaction spans the services there is another one.
type Placing func(ctx context.Context, o api.Order) (eventstore.Receipt, error)

// Service is the service. With a nil placing an order is placed, and somebody sees to the rest.
func Service(placing Placing) host.Service {
	return host.Service{
		Name:   "order",
		Events: api.Set(api.OfOrder),
		Views:  []host.View{host.Keep(Summaries), host.Keep(AllTotals)},
		Aggregates: func(store aggregate.Store) []cli.Aggregate {
			return []cli.Aggregate{cli.Of(store, Orders)}
		},
		Commands: func(bus *command.Bus, store aggregate.Store, _ *aggregate.Snapshots) {
			orders := aggregate.NewRepository(store, Orders)
			command.Handle(bus, "order.place", func(ctx context.Context, c api.Place) (eventstore.Receipt, error) {
				if placing != nil {
					return placing(ctx, api.Order(c))
				}
				return orders.Execute(ctx, c.ID, Place(api.Order(c)))
			})
			command.Handle(bus, "order.accept", func(ctx context.Context, c api.Accept) (eventstore.Receipt, error) {
				return orders.Execute(ctx, c.Order, become(api.Accepted{}))
			})
			command.Handle(bus, "order.cancel", func(ctx context.Context, c api.Cancel) (eventstore.Receipt, error) {
				return orders.Execute(ctx, c.Order, Cancel(c.Reason))
			})
			command.Handle(bus, "order.fulfil", func(ctx context.Context, c api.Fulfil) (eventstore.Receipt, error) {
				return orders.Execute(ctx, c.Order, Fulfil())
			})
		},
		Queries: func(bus *query.Bus, from projection.Readable) {
			rows := projection.NewReader(from, Summaries)
			query.Handle(bus, "order.get", func(ctx context.Context, q api.GetOrder) (Summary, error) {
				return rows.Get(ctx, q.Order)
			}, query.Reads(Summaries.Name()))
			query.Handle(bus, "order.totals", func(ctx context.Context, _ api.GetTotals) (Totals, error) {
				return Overall(ctx, from)
			}, query.Reads(AllTotals.Name()))
		},
	}
}
