// Shop is a shop of five services, fed with the invoices of a real one:
//
//	go run ./examples/shop all       # all services in one process
//	go run ./examples/shop order     # one service; and so payment, inventory, shipping and gateway
//	go run ./examples/shop feed      # places real invoices as orders
//	go run ./examples/shop books     # does it all add up?
//	go run ./examples/shop import    # the shop as one service, with all rows of the invoices
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal("shop: ", err) //nolint:gocritic // stop has nothing left to do
	}
}

// options are the flags of all verbs; each takes those that are for it.
type options struct {
	shop.Config

	listen, domain, gateway, bus string
	services                     map[string][]string
	faults                       host.SetFaults
	switches                     bool
	feed                         feed.Options
}

const usage = "want order, payment, inventory, shipping, gateway, all, feed, books or import; -h tells the flags"

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	switch verb := args[0]; {
	case slices.Contains(shop.Names, verb):
		return o.service(ctx, verb)
	case verb == "all":
		return o.all(ctx)
	case verb == "feed":
		return o.place(ctx)
	case verb == "books":
		return o.books(ctx)
	case verb == "import":
		return importInto(ctx, "shop.db", data.Open())
	default:
		return fmt.Errorf("there is no %q; %s", verb, usage)
	}
}

func parse(args []string) (*options, error) {
	o := &options{services: map[string][]string{}}
	flags := flag.NewFlagSet("shop "+args[0], flag.ExitOnError)
	flags.StringVar(&o.listen, "listen", "localhost:0", "`address` of the service, or of the gateway of all")
	flags.StringVar(&o.Where.Dir, "dir", ".", "`directory` of SQLite files, one for each service")
	flags.StringVar(&o.Where.Postgres, "postgres", "", "`URL` of a database with a schema for each service, in place of files")
	flags.BoolVar(&o.SharedDB, "shared-db", false, "place orders in one transaction over the schemas of all services (with --postgres)")
	flags.BoolVar(&o.Choreographed, "choreographed", false, "have each service react to events of others, in place of a saga that directs them")
	flags.DurationVar(&o.Lease, "lease", 10*time.Second, "how long a part that was killed is missed")
	flags.StringVar(&o.bus, "feed-to", "", "where events go on to: kinesis:`STREAM` or eventbridge:BUS")
	flags.StringVar(&o.domain, "domain", "", "DNS `domain` where the services are found, in place of URLs")
	flags.Func("service", "`name=URL` of another service; may be repeated", func(text string) error {
		name, url, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains(shop.Names, name) {
			return errors.New("want the name of a service and its URL, such as order=http://localhost:8081")
		}
		o.services[name] = append(o.services[name], url)
		return nil
	})
	flags.BoolVar(&o.switches, "faults", false, "take the commands faults.set and faults.kill")
	flags.Int64Var(&o.faults.SlowMillis, "slow", 0, "`milliseconds` that each request waits")
	flags.Int64Var(&o.faults.DeclineOver, "decline-over", 0, "decline payments of more `pence`")
	flags.Int64Var(&o.faults.DeclinePercent, "decline-percent", 0, "decline so many payments of `100`, always the same ones")
	flags.Func("nobody-goes-to", "`country` that no parcel is sent to; may be repeated", func(country string) error {
		o.faults.NobodyGoesTo = append(o.faults.NobodyGoesTo, country)
		return nil
	})
	flags.StringVar(&o.gateway, "gateway", "http://localhost:8080", "feed: `URL` of the gateway")
	flags.IntVar(&o.feed.Most, "orders", 0, "feed: how `many` orders; 0: all")
	flags.Float64Var(&o.feed.Rate, "rate", 0, "feed: orders a `second`; 0: as fast as it goes")
	flags.Int64Var(&o.feed.Stock, "stock", 500, "feed: how `many` of each item are delivered")
	if err := flags.Parse(args[1:]); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%s takes flags only, not %q", args[0], flags.Args())
	}
	if o.SharedDB && o.Where.Postgres == "" {
		return nil, errors.New("--shared-db needs the --postgres that is shared")
	}
	return o, o.prepare()
}

// prepare makes the switches and the bus of what was said.
func (o *options) prepare() (err error) {
	if err := o.faults.Validate(); err != nil {
		return err
	}
	o.Faults, o.Switches = map[string]*host.Faults{}, o.switches
	for _, name := range shop.Names {
		o.Faults[name] = new(host.Faults)
		o.Faults[name].Set(o.faults)
	}
	o.Feed, err = busOf(o.bus)
	return err
}

func (o *options) service(ctx context.Context, name string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Printf("%s listens on http://%s\n", name, listener.Addr())
	if o.domain != "" {
		found := discovery.NewCached(discovery.DNS{Domain: o.domain}, discovery.CachedOptions{})
		defer found.Close()
		return o.Serve(ctx, name, listener, found)
	}
	found, err := discovery.NewStatic(o.services)
	if err != nil {
		return err
	}
	return o.Serve(ctx, name, listener, found)
}

func (o *options) all(ctx context.Context) error {
	all, err := o.Start(ctx, o.listen)
	if err != nil {
		return err
	}
	for _, name := range shop.Names {
		fmt.Printf("%s listens on %s\n", name, all.URLs[name])
	}
	return all.Wait()
}
