// Package stock is the service that knows what is on the shelf.
package stock

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

// Receive and Get are what the service is asked for. Their JSON is its API.
type (
	Receive struct {
		Item     string `json:"item"`
		Quantity int32  `json:"quantity"`
	}
	Get struct {
		Item string `json:"item"`
	}
)

// Answer is the level of an item, and which instance of the service says so.
type Answer struct {
	Level

	From string `json:"from"`
}

// Level is the row of an item in the read model.
type Level struct {
	Item   string `leftfold:"key"  json:"item"`
	OnHand int64  `json:"onHand"`
}

type item struct{}

type event interface{ apply(i *item) }

type received struct{ Quantity int32 }

func (received) apply(*item) {}

var definition = aggregate.Define("item", event.apply, codec.Event[received]("stock.received"))

func receive(c Receive) aggregate.Decision[item, event] {
	return func(item) ([]event, error) {
		if c.Quantity < 1 {
			return nil, errors.New("nothing was received")
		}
		return []event{received{c.Quantity}}, nil
	}
}

// Levels are the read model, and Events what its log may hold.
var (
	Levels = projection.NewView("levels", projection.ViewOptions{Version: 1},
		projection.When(func(l *Level, e received, _ eventstore.Recorded) { l.OnHand += int64(e.Quantity) }))
	Events = definition.Events()
)

// Commands returns what the service does.
func Commands(store aggregate.Store) *command.Bus {
	items := aggregate.NewRepository(store, definition)
	bus := command.NewBus(command.Retry(3))
	command.Handle(bus, "stock.receive", func(ctx context.Context, c Receive) (eventstore.Receipt, error) {
		return items.Execute(ctx, c.Item, receive(c))
	})
	return bus
}

// Queries returns what this instance of the service answers.
func Queries(from projection.Readable, instance string) *query.Bus {
	levels := projection.NewReader(from, Levels)
	bus := query.NewBus()
	query.Handle(bus, "stock.get", func(ctx context.Context, q Get) (Answer, error) {
		level, err := levels.Get(ctx, q.Item)
		return Answer{level, instance}, err
	}, query.Reads("levels"))
	return bus
}
