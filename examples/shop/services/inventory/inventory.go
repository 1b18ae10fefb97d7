// Package inventory is the service that knows what is on the shelf, and for whom.
package inventory

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// shelf is how many of an item there are.
type shelf struct{ OnHand int64 }

func (s *shelf) apply(event any) {
	switch e := event.(type) {
	case api.Received:
		s.OnHand += e.Quantity
	case api.Picked:
		s.OnHand -= e.Quantity
	case api.PutBack:
		s.OnHand += e.Quantity
	}
}

// reservation is what is kept for an order.
type reservation struct {
	Asked bool
	Lines []api.Line // that are kept
}

func (r *reservation) apply(event any) {
	r.Asked = true
	switch e := event.(type) {
	case api.Reserved:
		r.Lines = e.Lines
	case api.Released:
		r.Lines = nil
	}
}

// Shelves are the streams "item-<id>".
var Shelves = aggregate.Define("item", func(e any, s *shelf) { s.apply(e) }, api.OfItem...).FoldVersion(1)

var (
	reservations = aggregate.Define("reservation", func(e any, r *reservation) { r.apply(e) }, api.OfReservation...)

	errShort = errors.New("there are not enough of")
)

// Stock decides for the service.
type Stock struct {
	// turn is of those who want goods, one at a time: else an order of hundreds of items would be decided again
	// and again, because others have taken one of them meanwhile. Other processes may decide beside it all the
	// same, by the versions of the streams.
	turn chan struct{}

	store        aggregate.Store
	shelves      *aggregate.Repository[shelf, any]
	reservations *aggregate.Repository[reservation, any]
}

// NewStock returns the stock in a store. A shelf has an event for every order of its item, without an end,
// so it is loaded from its snapshot; with nil, from its first event.
func NewStock(store aggregate.Store, snapshots *aggregate.Snapshots) Stock {
	options := aggregate.Options{MaxAttempts: 50} // many want what sells well
	return Stock{
		make(chan struct{}, 1),
		store,
		aggregate.NewRepository(store, Shelves).WithOptions(options).WithSnapshots(snapshots),
		aggregate.NewRepository(store, reservations).WithOptions(options),
	}
}

// Receive puts a delivery on the shelves.
func (s Stock) Receive(ctx context.Context, c api.Receive) (eventstore.Receipt, error) {
	var plans []aggregate.Plan
	for _, l := range api.ByItem(c.Lines) {
		plans = append(plans, s.shelves.Plan(l.Item, func(shelf) ([]any, error) { return []any{api.Received{Quantity: l.Quantity}}, nil }))
	}
	return aggregate.ExecuteAll(ctx, s.store, plans)
}

// Reserve takes all lines of an order from their shelves, in one append, or says that it was refused.
func (s Stock) Reserve(ctx context.Context, c api.Reserve) (eventstore.Receipt, error) {
	kept, _, err := s.reservations.Load(ctx, c.ID)
	if err != nil || kept.Asked {
		return eventstore.Receipt{}, err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return eventstore.Receipt{}, ctx.Err()
	}
	plans := []aggregate.Plan{s.reservations.Plan(c.ID, once(api.Reserved(c)))}
	for _, l := range api.ByItem(c.Lines) {
		plans = append(plans, s.shelves.Plan(l.Item, func(on shelf) ([]any, error) {
			if on.OnHand < l.Quantity {
				return nil, fmt.Errorf("%w %s: %d of %d", errShort, l.Item, on.OnHand, l.Quantity)
			}
			return []any{api.Picked{Order: c.ID, Quantity: l.Quantity}}, nil
		}))
	}
	receipt, err := aggregate.ExecuteAll(ctx, s.store, plans)
	if short, ok := errors.AsType[*aggregate.RefusedError](err); ok && errors.Is(err, errShort) {
		receipt, err = s.reservations.Execute(ctx, c.ID, once(api.StockRefused{Reason: short.Err.Error()}))
	}
	return unlessDone(receipt, err)
}

// errDone: somebody else was faster. It may be the same command on another way: one try finds the shelf
// short, a delivery comes, and the other one finds enough.
var errDone = errors.New("the order was reserved, refused or released meanwhile")

// unlessDone takes what was done meanwhile for no refusal: the event says what became of the order.
func unlessDone(receipt eventstore.Receipt, err error) (eventstore.Receipt, error) {
	if errors.Is(err, errDone) {
		return eventstore.Receipt{}, nil
	}
	return receipt, err
}

func once(what any) aggregate.Decision[reservation, any] {
	return func(r reservation) ([]any, error) {
		if r.Asked {
			return nil, errDone
		}
		return []any{what}, nil
	}
}

// Release puts back what is kept for an order.
func (s Stock) Release(ctx context.Context, c api.Release) (eventstore.Receipt, error) {
	kept, _, err := s.reservations.Load(ctx, c.Order)
	if err != nil || len(kept.Lines) == 0 {
		return eventstore.Receipt{}, err
	}
	plans := []aggregate.Plan{s.reservations.Plan(c.Order, func(r reservation) ([]any, error) {
		if len(r.Lines) == 0 {
			return nil, errDone
		}
		return []any{api.Released{}}, nil
	})}
	for _, l := range api.ByItem(kept.Lines) {
		plans = append(plans, s.shelves.Plan(l.Item, func(shelf) ([]any, error) {
			return []any{api.PutBack{Order: c.Order, Quantity: l.Quantity}}, nil
		}))
	}
	return unlessDone(aggregate.ExecuteAll(ctx, s.store, plans))
}

// Service is the service.
func Service() host.Service {
	return host.Service{
		Name:   "inventory",
		Events: api.Set(api.OfItem, api.OfReservation),
		Views:  []host.View{host.Keep(Levels), host.Keep(Reservations)},
		Aggregates: func(store aggregate.Store) []cli.Aggregate {
			return []cli.Aggregate{cli.Of(store, Shelves), cli.Of(store, reservations)}
		},
		Commands: func(bus *command.Bus, store aggregate.Store, snapshots *aggregate.Snapshots) {
			stock := NewStock(store, snapshots)
			command.Handle(bus, "stock.receive", stock.Receive)
			command.Handle(bus, "stock.reserve", stock.Reserve)
			command.Handle(bus, "stock.release", stock.Release)
		},
		Queries: func(bus *query.Bus, from projection.Readable) {
			levels, kept := projection.NewReader(from, Levels), projection.NewReader(from, Reservations)
			query.Handle(bus, "stock.get", func(ctx context.Context, q api.GetStock) (Level, error) {
				return levels.Get(ctx, q.Item)
			}, query.Reads(Levels.Name()))
			query.Handle(bus, "stock.reservation", func(ctx context.Context, q api.GetReservation) (Row, error) {
				return kept.Get(ctx, q.Order)
			}, query.Reads(Reservations.Name()))
		},
	}
}
