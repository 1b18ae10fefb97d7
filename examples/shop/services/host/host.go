package host

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// Options say how a service runs.
type Options struct {
	// Found finds the other services. Required.
	Found discovery.Resolver
	// Sagas are those that run here. Default: none.
	Sagas []saga.Saga
	// Segments is how many instances of a saga may wait for an answer at a time. Default: 1.
	Segments int
	// Tells are the services that hear its events. Default: none.
	Tells []string
	// Feed is a bus that its events go on to. Default: none.
	Feed relay.Publisher
	// Faults, if there are any, are those of the server. With Switches they can be switched by
	// commands, and Kill, which is required then, is what faults.kill does.
	Faults   *Faults
	Switches bool
	Kill     func()
	// NoWork leaves the parts to another process.
	NoWork bool
	// Lease is for how long a part that was killed is missed. Default: 10 s.
	Lease time.Duration
}

// patience is how long a command of a saga may take. It does not follow from the lease: what the largest order
// needs it needs each time, and a command that is given up before that never ends.
const patience = 30 * time.Second

// Parts returns what the service runs beside its server, on its store: here, or in a process of its
// own by the verb work of [cli.Command]. The names are those of no other service.
func (s Service) Parts(store *Store, o Options) (parts cli.Parts) {
	if s.Aggregates != nil {
		parts.Aggregates = s.Aggregates(store)
	}
	if !store.Inline && len(s.Views) > 0 {
		worker := projection.Worker{Log: store, Events: api.Events, TTL: o.Lease}
		for _, view := range s.Views {
			worker.Tasks = append(worker.Tasks, view.Into(store.Sink))
		}
		parts.Projections = append(parts.Projections, worker)
	}
	if len(o.Sagas) > 0 {
		parts.Sagas = append(parts.Sagas, saga.Worker{
			Store: store, Sink: store.Sink, Sagas: o.Sagas, TTL: o.Lease, Segments: max(o.Segments, 1),
			Dispatcher: s.routes(store, o.Found), DispatchTimeout: patience,
		})
	}
	for _, other := range o.Tells {
		parts.Relays = append(parts.Relays, s.relay(other, store, listener{Client(other, o.Found)}, o))
	}
	if o.Feed != nil {
		parts.Relays = append(parts.Relays, s.relay("bus", store, o.Feed, o))
	}
	return parts
}

// relay publishes what the service has decided, and not what it was told.
func (s Service) relay(other string, store *Store, to relay.Publisher, o Options) relay.Relay {
	return relay.Relay{Name: s.Name + "_to_" + other, Log: store, Sink: store.Sink, Publisher: to, Query: eventstore.Types(s.own()...), TTL: o.Lease}
}

// own are the types of the events that the service decides on.
func (s Service) own() (names []string) {
	for _, t := range s.Events.Types() {
		names = append(names, t.Name)
	}
	return names
}

// routes leads the commands of sagas to those who handle them: itself, or the service that they name.
func (s Service) routes(store *Store, found discovery.Resolver) saga.Dispatcher {
	handles := map[string]string{"order": "order", "stock": "inventory", "payment": "payment", "shipment": "shipping"}
	routes := saga.Routes{}
	for what, service := range handles {
		if service == s.Name {
			routes[what] = saga.ToBus(s.commands(store, Options{}))
		} else {
			routes[what] = httpapi.ToService(client(service, found, patience))
		}
	}
	return routes
}

// commands returns the bus of the service.
func (s Service) commands(store *Store, o Options) *command.Bus {
	bus := command.NewBus(command.Recover(), command.Validate(), command.Retry(3))
	s.Commands(bus, store, store.Snapshots)
	hear(bus, store, s.own())
	if o.Switches && o.Faults != nil {
		o.Faults.admin(bus, o.Kill)
	}
	return bus
}

// Handler returns what the service serves.
func (s Service) Handler(store *Store, o Options) http.Handler {
	queries := query.NewBus()
	queries.Follow(query.NewHead(store))
	s.Queries(queries, store.Sink)
	both := http.NewServeMux()
	both.Handle("/commands/", httpapi.Commands(s.commands(store, o), httpapi.Options{}))
	both.Handle("/queries/", httpapi.Queries(queries, httpapi.Options{}))
	if s.Routes != nil {
		for pattern, handler := range s.Routes(both) {
			both.Handle(pattern, handler)
		}
	}
	if o.Faults != nil {
		return o.Faults.slow(both)
	}
	return both
}

// Run runs the service until ctx ends and the last request has been answered, or a part fails.
func (s Service) Run(ctx context.Context, listener net.Listener, store *Store, o Options) error {
	log := slog.With("service", s.Name)
	var parts cli.Parts
	if !o.NoWork {
		parts = s.Parts(store, o)
	}
	run := []func(context.Context) error{store.Snapshots.Run}
	for _, w := range parts.Projections {
		w.Hooks.Failed = func(of projection.Generation, err error) {
			log.Error("a read model is held up", "name", of.Name, "error", err)
		}
		run = append(run, w.Run)
	}
	for _, w := range parts.Sagas {
		w.Hooks.Failed = func(name string, err error) { log.Error("a saga is held up", "name", name, "error", err) }
		run = append(run, w.Run)
	}
	for _, r := range parts.Relays {
		r.OnError = func(err error) { log.Error("a relay is held up", "name", r.Name, "error", err) }
		run = append(run, r.Run)
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	ended := make(chan error, len(run))
	for _, part := range run {
		go func() {
			err := part(working)
			stopServing()
			ended <- err
		}()
	}
	errs := []error{httpapi.Serve(serving, listener, s.Handler(store, o), httpapi.ServerOptions{})}
	stop()
	for range run {
		errs = append(errs, <-ended)
	}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}

// Client returns a client of the service of the name. What finds it may say that it is on this machine, which
// is refused by default: a shop on one machine is one to try.
func Client(service string, found discovery.Resolver) *httpapi.Client {
	return client(service, found, 0)
}

// client returns one that waits so long for each answer. 0: the default of [discovery.TransportOptions].
func client(service string, found discovery.Resolver, waits time.Duration) *httpapi.Client {
	transport := discovery.NewTransport(found, discovery.TransportOptions{
		Addresses: discovery.AddressPolicy{Loopback: true}, TryTimeout: waits,
	})
	return &httpapi.Client{URL: "http://" + service, HTTP: discovery.NewClient(transport)}
}
