// Package orders is the service that takes orders and answers how they stand. It knows nothing of
// HTTP, of where its store is, or of who asks.
package orders

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

// Place and Get are what the service is asked for. Their JSON is its API.
type (
	Place struct {
		Order    string `json:"order"`
		Item     string `json:"item"`
		Quantity int32  `json:"quantity"`
	}
	Get struct {
		Order string `json:"order"`
	}
)

// Validate implements [command.Validator].
func (p Place) Validate() error {
	if p.Quantity < 1 {
		return errors.New("quantity: order at least one")
	}
	return nil
}

type order struct{ placed bool }

type event interface{ apply(o *order) }

type placed struct {
	Item     string
	Quantity int32
}

func (placed) apply(o *order) { o.placed = true }

var definition = aggregate.Define("order", event.apply, codec.Event[placed]("order.placed"))

func place(c Place) aggregate.Decision[order, event] {
	return func(o order) ([]event, error) {
		if o.placed {
			return nil, errors.New("the order has been placed before")
		}
		return []event{placed{c.Item, c.Quantity}}, nil
	}
}

// Summary is the row of an order in the read model.
type Summary struct {
	Order    string `leftfold:"key"  json:"order"`
	Item     string `json:"item"`
	Quantity int32  `json:"quantity"`
}

// Summaries are the read model, and Events what its log may hold.
var (
	Summaries = projection.NewView("orders", projection.ViewOptions{Version: 1},
		projection.When(func(s *Summary, e placed, _ eventstore.Recorded) { s.Item, s.Quantity = e.Item, e.Quantity }))
	Events = definition.Events()
)

// Commands returns what the service does.
func Commands(store aggregate.Store) *command.Bus {
	orders := aggregate.NewRepository(store, definition)
	bus := command.NewBus(command.Validate(), command.Retry(3))
	command.Handle(bus, "order.place", func(ctx context.Context, c Place) (eventstore.Receipt, error) {
		return orders.Execute(ctx, c.Order, place(c))
	})
	return bus
}

// Queries returns what the service answers, from a sink or from its replicas.
func Queries(from projection.Readable) *query.Bus {
	summaries := projection.NewReader(from, Summaries)
	bus := query.NewBus()
	query.Handle(bus, "order.get", func(ctx context.Context, q Get) (Summary, error) {
		return summaries.Get(ctx, q.Order)
	}, query.Reads("orders"))
	return bus
}
