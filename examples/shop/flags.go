package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// options are the flags of all verbs; each has those that are for it.
type options struct {
	shop.Config

	services addresses
	domain   string
	dns      string
	only     []string
	bus      string
	slow     time.Duration
	faults   host.SetFaults
	looks    bool // the verb changes nothing by being run, and makes no store
}

// storeFlags say where the stores are, and how the services work together. All processes must have
// the same ones.
func (o *options) storeFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.Where.Dir, "dir", "shop-data", "`directory` of the SQLite files, one for each service; created if missing")
	flags.StringVar(&o.Where.Postgres, "postgres", "", "`URL` of a database with a schema for each service, in place of files")
	flags.StringVar(&o.Redis, "redis", "", "`URL` of a server that keeps the gateway's view, in place of the database that its events are in")
	flags.BoolVar(&o.SharedDB, "shared-db", false, "place orders in one transaction over the schemas of all services (with --postgres)")
	flags.BoolVar(&o.Choreographed, "choreographed", false, "have each service react to events of others, in place of a saga that directs them")
}

// onlyFlag says which parts a verb is about.
func (o *options) onlyFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringArrayVar(&o.only, "only", nil, "only what is of this `service`; may be repeated")
}

// partFlags say what runs beside the servers, and how.
func (o *options) partFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.bus, "feed-to", "", "`URL` where events go on to: kinesis://STREAM or eventbridge://BUS")
	flags.DurationVar(&o.Lease, "lease", 10*time.Second, "how long a part that was killed is missed")
}

// addressFlags say where the services are.
func (o *options) addressFlags(cmd *cobra.Command) {
	cmd.Flags().Var(o.services, "service", "`name=URL` of another service; may be repeated (default: where it listens by default)")
	cmd.Flags().StringVar(&o.domain, "domain", os.Getenv("SERVICE_DOMAIN"), "DNS `domain` where the services are found, in place of URLs (default: that of SERVICE_DOMAIN)")
	cmd.Flags().StringVar(&o.dns, "dns", "", "`host:port` of the DNS server to ask (default: those of the system)")
}

// faultFlags have a service fail, and refusalFlags have what it decides go wrong.
func (o *options) faultFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.Switches, "faults", false, "take the commands faults.set and faults.kill")
	cmd.Flags().DurationVar(&o.slow, "slow", 0, "how long each request waits")
	o.refusalFlags(cmd)
}

func (o *options) refusalFlags(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&o.faults.DeclineOver, "decline-over", 0, "decline payments of more `pence`")
	cmd.Flags().Int64Var(&o.faults.DeclinePercent, "decline-percent", 0, "decline so many payments of `100`, always the same ones")
	cmd.Flags().StringArrayVar(&o.faults.NobodyGoesTo, "nobody-goes-to", nil, "`country` that no parcel is sent to; may be repeated")
}

// prepare checks what was said, and makes the switches and the bus of it.
func (o *options) prepare(cmd *cobra.Command) error {
	for verb := cmd; verb.HasParent(); verb = verb.Parent() {
		o.looks = o.looks || verb.GroupID == "look"
	}
	if err := o.check(); err != nil {
		return cli.Misused(cmd, err)
	}
	o.Faults = map[string]*host.Faults{}
	for _, name := range shop.Names {
		o.Faults[name] = new(host.Faults)
		o.Faults[name].Set(o.faults)
	}
	var err error
	o.Feed, err = busOf(cmd.Context(), o.bus)
	if wrong, ok := errors.AsType[*cli.UsageError](err); ok {
		return cli.Misused(cmd, wrong)
	}
	return err
}

func (o *options) check() error {
	for _, name := range o.only {
		if !slices.Contains(shop.Names, name) {
			return fmt.Errorf("--only %s: there is no such service; there are %s", name, inWords)
		}
	}
	o.faults.SlowMillis = o.slow.Milliseconds()
	switch {
	case o.SharedDB && o.Where.Postgres == "":
		return errors.New("--shared-db needs the --postgres that is shared")
	case o.SharedDB && o.Choreographed:
		return errors.New("--shared-db leaves nothing to be --choreographed: give one of them")
	case o.SharedDB && o.Redis != "":
		return errors.New("--shared-db keeps the views in the database that is shared: leave out --redis")
	case o.Lease < 0:
		return errors.New("--lease is no less than 0")
	}
	return o.faults.Validate()
}

var inWords = strings.Join(shop.Names, ", ")

// parts are those of [cli.App]. The services are found when a part needs them.
func (o *options) parts(ctx context.Context) (cli.Parts, error) {
	ready := o.makeDir
	if o.looks {
		ready = o.find
	}
	if err := ready(); err != nil {
		return cli.Parts{}, err
	}
	found, closing, err := o.found()
	if err != nil {
		return cli.Parts{}, err
	}
	parts, err := o.Parts(ctx, found, o.of()...)
	if err != nil {
		closing()
		return parts, err
	}
	closeStores := parts.Close
	parts.Close = func(ctx context.Context) error {
		defer closing()
		return closeStores(ctx)
	}
	return parts, nil
}

// find fails if a service that the verb is about has not made its file: to look at it would make one.
func (o *options) find() error {
	for _, name := range o.of() {
		if err := o.Where.Find(name); err != nil {
			return fmt.Errorf("there is no service %s to look at: %w; say where it is with --dir, or begin one with shop all", name, err)
		}
	}
	return nil
}

// makeDir makes the directory of the files.
func (o *options) makeDir() error {
	if o.Where.Postgres != "" {
		return nil
	}
	if err := os.MkdirAll(o.Where.Dir, 0o755); err != nil {
		return fmt.Errorf("cannot use the directory %s: %w; choose another with --dir", o.Where.Dir, err)
	}
	return nil
}

// listens are the addresses of the services where nobody says others.
var listens = map[string]string{
	"gateway": "localhost:8080", "order": "localhost:8081", "payment": "localhost:8082",
	"inventory": "localhost:8083", "shipping": "localhost:8084",
}

// found returns what finds the services. Close it.
func (o *options) found() (found discovery.Resolver, closing func(), err error) {
	if o.domain != "" {
		cached := discovery.NewCached(discovery.DNS{Domain: o.domain, Server: o.dns}, discovery.CachedOptions{})
		return cached, cached.Close, nil
	}
	all := map[string][]string{}
	for name, address := range listens {
		all[name] = []string{"http://" + address}
	}
	maps.Copy(all, o.services)
	found, err = discovery.NewStatic(all)
	return found, func() {}, err
}

// addresses are the URLs of services, by their names: a value of a flag.
type addresses map[string][]string

func (a addresses) String() string { return "" }

func (a addresses) Type() string { return "name=URL" }

func (a addresses) Set(text string) error {
	name, url, ok := strings.Cut(text, "=")
	if !ok || !slices.Contains(shop.Names, name) {
		return errors.New("want the name of a service and its URL, such as order=http://localhost:8081")
	}
	a[name] = append(a[name], url)
	return nil
}
