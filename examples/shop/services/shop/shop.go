// Package shop puts the services together: as processes of their own, or all in one.
package shop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/choreography"
	"github.com/leftfold/leftfold/examples/shop/services/gateway"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/inventory"
	"github.com/leftfold/leftfold/examples/shop/services/order"
	"github.com/leftfold/leftfold/examples/shop/services/payment"
	"github.com/leftfold/leftfold/examples/shop/services/shipping"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// Names are the services, in the order in which they are told of.
var Names = []string{"order", "payment", "inventory", "shipping", "gateway"}

// Config is how the shop is run.
type Config struct {
	Where host.Where
	// Choreographed has nobody direct the services; else a saga of the order service does.
	Choreographed bool
	// SharedDB has orders placed in one transaction over the schemas of all services, with their read
	// models, in the Postgres database of Where: there is nothing left to direct.
	SharedDB bool
	// Faults are those of each service by its name. Default: none. With Switches those that there are can
	// be switched by commands. With SharedDB the order service decides for all, by its own.
	Faults   map[string]*host.Faults
	Switches bool
	// Feed is a bus that the events of the four services go on to. Default: none.
	Feed relay.Publisher
	// NoWork has services serve only; [Config.Parts] are run by another process then.
	NoWork bool
	// Lease is for how long a part that was killed is missed. Default: 10 s.
	Lease time.Duration
	// Redis is the URL of a server that keeps the gateway's view. Default: it is where its events are.
	Redis string
	// Details is the version of the gateway's view. Default: 1.
	Details int
	// Opened is called with the store of a service before that begins. Default: nobody is told.
	Opened func(store *host.Store)
}

// Service returns the service of the name.
func (c Config) Service(name string, found discovery.Resolver) (host.Service, error) {
	return c.service(name, c.Faults[name], found)
}

func (c Config) service(name string, faults *host.Faults, found discovery.Resolver) (host.Service, error) {
	if faults == nil {
		faults = new(host.Faults) // nobody switches them
	}
	switch name {
	case "order":
		return order.Service(nil), nil
	case "payment":
		return payment.Service(faults.Declines), nil
	case "inventory":
		return inventory.Service(), nil
	case "shipping":
		return shipping.Service(faults.NobodyGoes), nil
	case "gateway":
		return gateway.Service(found, max(c.Details, 1)), nil
	}
	return host.Service{}, fmt.Errorf("there is no service %q; there are %v", name, Names)
}

// listens says whose events each service hears.
func (c Config) listens() map[string][]string {
	if c.SharedDB {
		return nil
	}
	if c.Choreographed {
		return choreography.Listens
	}
	return map[string][]string{"order": {"inventory", "payment", "shipping"}}
}

func (c Config) options(name string, found discovery.Resolver) host.Options {
	o := host.Options{Found: found, Faults: c.Faults[name], Switches: c.Switches, Kill: killProcess, NoWork: c.NoWork, Lease: c.Lease}
	switch {
	case name == "gateway":
		return o
	case c.SharedDB:
	case c.Choreographed:
		o.Sagas = choreography.Reactions[name]
	case name == "order":
		o.Sagas, o.Segments = []saga.Saga{order.Fulfilment}, 4 // it waits for other services
	}
	o.Feed, o.Tells = c.Feed, []string{"gateway"}
	for listener, to := range c.listens() {
		for _, source := range to {
			if source == name {
				o.Tells = append(o.Tells, listener)
			}
		}
	}
	return o
}

func killProcess() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
}

// open opens the store of a service. With a shared database, read models are written with the events.
func (c Config) open(ctx context.Context, of host.Service) (*host.Store, error) {
	at := c.Where
	at.Inline = c.SharedDB
	if of.Name == "gateway" {
		at.Redis = c.Redis
	}
	return at.Open(ctx, of)
}

// Serve opens the store of a service and runs it until ctx ends.
func (c Config) Serve(ctx context.Context, name string, listener net.Listener, found discovery.Resolver) (err error) {
	if c.SharedDB && name == "order" {
		return c.serveShared(ctx, listener, found)
	}
	service, err := c.Service(name, found)
	if err != nil {
		return err
	}
	store, err := c.open(ctx, service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	if c.Opened != nil {
		c.Opened(store)
	}
	return service.Run(ctx, listener, store, c.options(name, found))
}

// Books opens the stores of all services, to look at what they have recorded. Close them.
func (c Config) Books(ctx context.Context) (all books.Services, closing func() error, err error) {
	all = books.Services{}
	closing = func() error {
		var errs []error
		for _, part := range all {
			errs = append(errs, part.Store.Close(context.WithoutCancel(ctx)))
		}
		return errors.Join(errs...)
	}
	for _, name := range Names {
		service, err := c.Service(name, discovery.Static{})
		if err != nil {
			return nil, nil, errors.Join(err, closing())
		}
		store, err := c.open(ctx, service)
		if err != nil {
			return nil, nil, errors.Join(err, closing())
		}
		all[name] = books.Part{Service: service, Store: store, Follows: c.Follows(service, store)}
	}
	return all, closing, nil
}

// All is the shop in one process. Each service has an address of its own all the same.
type All struct {
	URLs map[string]string

	config Config
	found  discovery.Resolver
	ctx    context.Context
	mu     sync.Mutex
	runs   map[string]*run
}

type run struct {
	stop  context.CancelFunc
	ended chan struct{}
	err   error
}

// Start starts all services, the gateway at the address.
func (c Config) Start(ctx context.Context, address string) (*All, error) {
	all := &All{URLs: map[string]string{}, config: c, ctx: ctx, runs: map[string]*run{}}
	listeners, addresses := map[string]net.Listener{}, map[string][]string{}
	for _, name := range Names {
		at := "127.0.0.1:0"
		if name == "gateway" {
			at = address
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
		if err != nil {
			return nil, err
		}
		listeners[name], all.URLs[name] = listener, "http://"+listener.Addr().String()
		addresses[name] = []string{all.URLs[name]}
	}
	found, err := discovery.NewStatic(addresses)
	if err != nil {
		return nil, err
	}
	all.found = found
	for _, name := range Names {
		all.run(name, listeners[name])
	}
	return all, nil
}

func (a *All) run(name string, listener net.Listener) {
	ctx, stop := context.WithCancel(a.ctx)
	r := &run{stop: stop, ended: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.runs[name] = r
	go func() {
		defer close(r.ended)
		err := a.config.Serve(ctx, name, listener, a.found)
		if ctx.Err() == nil || !errors.Is(err, context.Canceled) { // it was stopped before it had begun
			r.err = err
		}
	}()
}

// Wait waits until ctx ends or a service fails, stops all and returns their errors.
func (a *All) Wait() error {
	ended := make(chan struct{}, len(Names))
	for _, r := range a.runs {
		go func() { <-r.ended; ended <- struct{}{} }()
	}
	<-ended
	return a.Close()
}

// Stop stops a service and returns when it has ended, with its error.
func (a *All) Stop(name string) error {
	a.mu.Lock()
	r := a.runs[name]
	a.mu.Unlock()
	r.stop()
	<-r.ended
	return r.err
}

// Restart starts a service again that was stopped, where it was.
func (a *All) Restart(name string) error {
	listener, err := new(net.ListenConfig).Listen(a.ctx, "tcp", a.URLs[name][len("http://"):])
	if err != nil {
		return err
	}
	a.run(name, listener)
	return nil
}

// Close stops all services, the gateway first, and returns their errors.
func (a *All) Close() error {
	var errs []error
	for n := range Names {
		errs = append(errs, a.Stop(Names[len(Names)-1-n]))
	}
	return errors.Join(errs...)
}
