// Package app wires the shop: its commands, its views and its queries, over any event
// store and any sink. It is the only package that knows all the others.
package app

import (
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/inventory"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/returns"
	"github.com/leftfold/leftfold/examples/shop/sales"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Events are all events of the shop.
var Events = func() *codec.Set {
	set, err := codec.Merge(order.Orders.Events(), returns.Returns.Events(), inventory.Items.Events())
	if err != nil {
		panic(err) // the shop's own definitions clash
	}
	return set
}()

// App is the shop in one process.
type App struct {
	Commands *command.Bus
	Queries  *query.Bus
	store    eventstore.Store
	sink     projection.Sink
}

// New returns the shop over a store, with its read models in a sink.
func New(store eventstore.Store, sink projection.Sink) *App {
	commands := command.NewBus(command.Recover(), command.Retry(5))
	command.Handle(commands, "order.place", order.NewPlacing(store).Handle)
	command.Handle(commands, "return.accept", returns.NewAccepting(store, Events).Handle)
	return &App{Commands: commands, Queries: newQueries(sink), store: store, sink: sink}
}

// Projections returns the runner of the shop's views.
func (a *App) Projections() projection.Runner { return a.ProjectionsInto(a.sink) }

// ProjectionsInto returns a runner of the same views into another sink.
func (a *App) ProjectionsInto(sink projection.Sink) projection.Runner {
	return projection.Runner{
		Log:    a.store,
		Events: Events,
		Tasks: []projection.Task{
			projection.Into(sink, order.Summaries),
			projection.Into(sink, returns.Summaries),
			projection.Into(sink, sales.ByDayAndCountry),
			projection.Into(sink, sales.StockByItem),
			projection.Into(sink, sales.BestCustomers),
		},
	}
}
