package shop

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/projection"
)

// Parts opens the stores of services, and returns what these run beside their servers: for a process
// that works for them, and for whoever looks at what that has done. Close the parts.
func (c Config) Parts(ctx context.Context, found discovery.Resolver, names ...string) (all cli.Parts, err error) {
	var closing []func(context.Context) error
	all.Close = func(ctx context.Context) error {
		var errs []error
		for _, closeIt := range closing {
			errs = append(errs, closeIt(ctx))
		}
		return errors.Join(errs...)
	}
	for _, name := range names {
		service, err := c.Service(name, found)
		if err != nil {
			return cli.Parts{}, errors.Join(err, all.Close(ctx))
		}
		store, err := c.open(ctx, service)
		if err != nil {
			return cli.Parts{}, errors.Join(err, all.Close(ctx))
		}
		closing = append(closing, store.Close)
		of := service.Parts(store, c.options(name, found))
		all.Projections = append(all.Projections, of.Projections...)
		all.Sagas = append(all.Sagas, of.Sagas...)
		all.Relays = append(all.Relays, of.Relays...)
		all.Aggregates = append(all.Aggregates, of.Aggregates...)
	}
	return all, nil
}

// Follows returns what of a service has to come to the end of its log before nobody has anything left to do: its
// read models, and the relays that tell others.
func (c Config) Follows(of host.Service, store *host.Store) (all []projection.Generation) {
	parts := of.Parts(store, c.options(of.Name, discovery.Static{}))
	for _, w := range parts.Projections {
		for _, task := range w.Tasks {
			all = append(all, task.Registration().Generation)
		}
	}
	for _, r := range parts.Relays {
		all = append(all, r.Generation())
	}
	return all
}
