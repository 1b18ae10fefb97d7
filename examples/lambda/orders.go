package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/query"
)

// Commands and queries. Their JSON is the API.

type Place struct {
	Order    string `json:"order"`
	Item     string `json:"item"`
	Quantity int32  `json:"quantity"`
}

func (p Place) Validate() error {
	if p.Quantity < 1 {
		return errors.New("quantity: order at least one")
	}
	return nil
}

type GetOrder struct {
	Order string `json:"order"`
}

type GetSold struct {
	Item string `json:"item"`
}

type Sold struct {
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"`
}

// Events, and what they fold to.

type Placed struct {
	Item     string
	Quantity int32
}

type Order struct {
	Placed   bool   `json:"placed"`
	Item     string `json:"item"`
	Quantity int32  `json:"quantity"`
}

var Orders = aggregate.Define("order", func(e Placed, o *Order) { *o = Order{true, e.Item, e.Quantity} },
	codec.Event[Placed]("order.placed"))

func place(c Place) aggregate.Decision[Order, Placed] {
	return func(o Order) ([]Placed, error) {
		if o.Placed {
			return nil, errors.New("the order has been placed before")
		}
		return []Placed{{c.Item, c.Quantity}}, nil
	}
}

// handler is the service, whoever calls it.
func handler(db *database) http.Handler {
	orders := aggregate.NewRepository(db.store, Orders)
	commands := command.NewBus(command.Validate(), command.Retry(3))
	command.Handle(commands, "order.place", func(ctx context.Context, c Place) (eventstore.Receipt, error) {
		return orders.Execute(ctx, c.Order, place(c))
	})
	queries := query.NewBus()
	query.Handle(queries, "order.get", func(ctx context.Context, q GetOrder) (Order, error) {
		o, _, err := orders.Load(ctx, q.Order)
		return o, err
	})
	query.Handle(queries, "item.sold", func(ctx context.Context, q GetSold) (Sold, error) {
		quantity, err := sales{db.DB}.of(ctx, q.Item)
		return Sold{q.Item, quantity}, err
	})
	// In a real shop: httpapi.Options{Authenticate: …, Authorize: …}.
	api := http.NewServeMux()
	api.Handle("/commands/", httpapi.Commands(commands, httpapi.Options{}))
	api.Handle("/queries/", httpapi.Queries(queries, httpapi.Options{}))
	return api
}
