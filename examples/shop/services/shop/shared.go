package shop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/order"
)

// shared places orders where all services share a database, each with a schema of its own. What a saga
// does step by step is one transaction there: the order, the goods, the money, the parcel and the read
// models of all that are there together, or none is. Nobody ever sees a part of it, and nothing
// has to be undone later.
//
// That is simpler, and has its price: all of it stands still together, and the services cannot be
// moved to databases of their own without becoming the other kind.
type shared struct {
	services map[string]host.Service
	stores   map[string]*host.Store
}

// inOrder are the services in the order of their locks, which must be the same one everywhere: else
// two transactions wait for each other.
var inOrder = []string{"inventory", "order", "payment", "shipping"}

func (s *shared) place(ctx context.Context, o api.Order) (receipt eventstore.Receipt, err error) {
	err = pgx.BeginFunc(ctx, s.stores["order"].Pool, func(tx pgx.Tx) error {
		for _, name := range inOrder {
			if err := s.stores[name].Postgres.LockIn(ctx, tx); err != nil {
				return fmt.Errorf("lock %s: %w", name, err)
			}
		}
		receipt, err = s.in(tx).fulfil(ctx, o)
		return err
	})
	return receipt, err
}

// in returns what does the commands of all services inside the transaction.
func (s *shared) in(tx pgx.Tx) transaction {
	t := transaction{command.NewBus(), map[string]eventstore.Store{}}
	for _, name := range inOrder {
		t.stores[name] = s.stores[name].Postgres.In(tx)
		s.services[name].Commands(t.bus, t.stores[name], nil) // what a transaction reads may never come to be
	}
	return t
}

// transaction is the four services in one transaction.
type transaction struct {
	bus    *command.Bus
	stores map[string]eventstore.Store
}

// fulfil does all there is to do for an order. That somebody says no is recorded too, and what was done
// before that is put right within the transaction.
func (t transaction) fulfil(ctx context.Context, o api.Order) (eventstore.Receipt, error) {
	steps := []struct {
		service, stream string
		do, undo        any
	}{
		{"inventory", "reservation", api.Reserve(o), api.Release{Order: o.ID}},
		{"payment", "payment", api.Take(o), api.Refund{Order: o.ID}},
		{"shipping", "shipment", api.Send(o), nil},
	}
	if _, err := t.bus.Dispatch(ctx, api.Place(o)); err != nil {
		return eventstore.Receipt{}, err
	}
	for n, step := range steps {
		if _, err := t.bus.Dispatch(ctx, step.do); err != nil {
			return eventstore.Receipt{}, err
		}
		reason, err := refusal(ctx, t.stores[step.service], eventstore.NewStreamID(step.stream, o.ID))
		if err != nil {
			return eventstore.Receipt{}, err
		}
		if reason == "" {
			continue
		}
		for _, done := range slices.Backward(steps[:n]) {
			if _, err := t.bus.Dispatch(ctx, done.undo); err != nil {
				return eventstore.Receipt{}, err
			}
		}
		return t.bus.Dispatch(ctx, api.Cancel{Order: o.ID, Reason: reason})
	}
	return t.bus.Dispatch(ctx, api.Fulfil{Order: o.ID})
}

// refusal returns why a service said no, as the stream has it; empty: it did not.
func refusal(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID) (reason string, err error) {
	for m, err := range store.ReadStream(ctx, stream, eventstore.StreamRange{}) {
		if err != nil {
			return "", err
		}
		events, err := api.Events.Decode(m)
		if err != nil {
			return "", err
		}
		switch e := events[0].(type) {
		case api.StockRefused:
			reason = e.Reason
		case api.Declined:
			reason = e.Reason
		case api.ShipmentRefused:
			reason = e.Reason
		}
	}
	return reason, nil
}

// serveShared runs the order service where the database is shared: it has the stores of the others too, and
// decides for them, so its faults are theirs.
func (c Config) serveShared(ctx context.Context, listener net.Listener, found discovery.Resolver) (err error) {
	s := &shared{map[string]host.Service{}, map[string]*host.Store{}}
	for _, name := range inOrder {
		if s.services[name], err = c.service(name, c.Faults["order"], found); err != nil {
			return err
		}
		store, err := c.open(ctx, s.services[name])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
		s.stores[name] = store
	}
	return order.Service(s.place).Run(ctx, listener, s.stores["order"], c.options("order", found))
}
