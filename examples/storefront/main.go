// Storefront is two services of a small shop, and the page that is made of both:
//
//	go run ./examples/storefront           # all of it in one process: a short story
//	go run ./examples/storefront orders    # one service, and so stock and page
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/examples/storefront/orders"
	"github.com/leftfold/leftfold/examples/storefront/page"
	"github.com/leftfold/leftfold/examples/storefront/service"
	"github.com/leftfold/leftfold/examples/storefront/stock"
	"github.com/leftfold/leftfold/projection"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal("storefront: ", err) //nolint:gocritic // stop has nothing left to do
	}
}

// options are the flags of all services; each takes those that are for it.
type options struct {
	listen, name, domain string
	store                service.Place
	orders, stock        []string
}

type start func(ctx context.Context, listener net.Listener, o options) error

func run(ctx context.Context, args []string) error {
	which := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		which, args = args[0], args[1:]
	}
	var o options
	flags := flag.NewFlagSet("storefront", flag.ExitOnError)
	flags.StringVar(&o.listen, "listen", "localhost:0", "`address` of the service")
	flags.StringVar(&o.name, "name", "stock-1", "of this instance of stock")
	flags.StringVar(&o.store.Postgres, "postgres", "", "`URL` of a database, in place of a SQLite file")
	flags.StringVar(&o.domain, "domain", "", "DNS `domain` where the page finds services, in place of URLs")
	for name, urls := range map[string]*[]string{"replica": &o.store.Replicas, "orders": &o.orders, "stock": &o.stock} {
		flags.Func(name, "`URL` of such a server; may be repeated", func(url string) error { *urls = append(*urls, url); return nil })
	}
	_ = flags.Parse(args)
	serve, ok := map[string]start{"orders": startOrders, "stock": startStock, "page": startPage}[which]
	switch {
	case which == "":
		return tell(ctx, os.Stdout, o)
	case !ok:
		return fmt.Errorf("there is no service %q; there are orders, stock and page", which)
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Printf("%s listens on http://%s\n", which, listener.Addr())
	return serve(ctx, listener, o)
}

// Each service has a store of its own, which all its instances share.

func startOrders(ctx context.Context, listener net.Listener, o options) error {
	o.store.File, o.store.Schema = "orders.db", "orders"
	return o.store.With(ctx, func(s service.Store) error {
		return service.Keep(ctx, listener, s, orders.Events, projection.Into(s.Sink, orders.Summaries), orders.Commands(s), orders.Queries(s.Read))
	})
}

func startStock(ctx context.Context, listener net.Listener, o options) error {
	o.store.File, o.store.Schema = "stock.db", "stock"
	return o.store.With(ctx, func(s service.Store) error {
		return service.Keep(ctx, listener, s, stock.Events, projection.Into(s.Sink, stock.Levels), stock.Commands(s), stock.Queries(s.Read, o.name))
	})
}

func startPage(ctx context.Context, listener net.Listener, o options) error {
	if o.domain != "" {
		found := discovery.NewCached(discovery.DNS{Domain: o.domain}, discovery.CachedOptions{})
		defer found.Close()
		return service.Serve(ctx, listener, command.NewBus(), page.Queries(found))
	}
	found, err := discovery.NewStatic(map[string][]string{"orders": o.orders, "stock": o.stock})
	if err != nil {
		return err
	}
	return service.Serve(ctx, listener, command.NewBus(), page.Queries(found))
}
