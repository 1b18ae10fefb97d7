package main

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
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

type Cancel struct {
	Order string `json:"order"`
}

type GetOrder struct {
	Order string `json:"order"`
}

// Events, and what they fold to.

type Order struct{ Placed, Cancelled bool }

type Event interface{ apply(*Order) }

type Placed struct {
	Item     string
	Quantity int32
}
type Cancelled struct{}

func (Placed) apply(o *Order)    { o.Placed = true }
func (Cancelled) apply(o *Order) { o.Cancelled = true }

var Orders = aggregate.Define("order", Event.apply,
	codec.Event[Placed]("order.placed"),
	codec.Event[Cancelled]("order.cancelled"))

// Decisions. The text of a refusal is told to the client.

func place(c Place) aggregate.Decision[Order, Event] {
	return func(o Order) ([]Event, error) {
		if o.Placed {
			return nil, errors.New("the order has been placed before")
		}
		return []Event{Placed{c.Item, c.Quantity}}, nil
	}
}

func cancel(o Order) ([]Event, error) {
	switch {
	case !o.Placed:
		return nil, errors.New("there is no such order")
	case o.Cancelled:
		return nil, nil
	}
	return []Event{Cancelled{}}, nil
}

// The read model.

type Summary struct {
	Order    string `leftfold:"key" json:"order"`
	Item     string `json:"item"`
	Quantity int32  `json:"quantity"`
	State    string `json:"state"`
}

var Summaries = projection.NewView("orders", projection.ViewOptions{Version: 1},
	projection.When(func(s *Summary, e Placed, _ eventstore.Recorded) {
		s.Item, s.Quantity, s.State = e.Item, e.Quantity, "placed"
	}),
	projection.When(func(s *Summary, _ Cancelled, _ eventstore.Recorded) { s.State = "cancelled" }))

func commandsOf(store aggregate.Store) *command.Bus {
	orders := aggregate.NewRepository(store, Orders)
	bus := command.NewBus(command.Validate(), command.Retry(3))
	command.Handle(bus, "order.place", func(ctx context.Context, c Place) (eventstore.Receipt, error) {
		return orders.Execute(ctx, c.Order, place(c))
	})
	command.Handle(bus, "order.cancel", func(ctx context.Context, c Cancel) (eventstore.Receipt, error) {
		return orders.Execute(ctx, c.Order, cancel)
	})
	return bus
}

func queriesOf(sink projection.Sink) *query.Bus {
	summaries := projection.NewReader(sink, Summaries)
	bus := query.NewBus()
	query.Handle(bus, "order.get", func(ctx context.Context, q GetOrder) (Summary, error) {
		return summaries.Get(ctx, q.Order)
	}, query.Reads("orders"))
	return bus
}
