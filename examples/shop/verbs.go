package main

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// service is the verb of one service.
func (o *options) service(name string) *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:     name,
		Short:   "The service " + name,
		Long:    "Runs the service " + name + " until it is told to stop: its server, and what is done beside it.\nWith --no-work that is left to shop work, in as many processes as you like.",
		Example: fmt.Sprintf("  shop %s --listen %s", name, listens[name]),
		Args:    cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.serve(cmd, name, listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", listens[name], "`address` of the service")
	cmd.Flags().BoolVar(&o.NoWork, "no-work", false, "only serve: shop work does the rest")
	o.storeFlags(cmd)
	o.partFlags(cmd)
	o.addressFlags(cmd)
	o.faultFlags(cmd)
	return cmd
}

func (o *options) serve(cmd *cobra.Command, name, listen string) error {
	if err := o.makeDir(); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(cmd.Context(), "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for --listen %s: %w", listen, err)
	}
	found, closing, err := o.found()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer closing()
	fmt.Fprintf(cmd.OutOrStdout(), "%s listens on http://%s\n", name, listener.Addr())
	return o.Serve(cmd.Context(), name, listener, found)
}

// all is the verb of all services in one process.
func (o *options) all() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:     "all",
		Short:   "All services in one process",
		Long:    "Runs all services in this process until it is told to stop, each with a store and an address of its own.",
		Example: "  shop all\n  shop all --postgres postgres://localhost/shop --shared-db",
		Args:    cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.makeDir(); err != nil {
				return err
			}
			all, err := o.Start(cmd.Context(), listen)
			if err != nil {
				return err
			}
			for _, name := range shop.Names {
				fmt.Fprintf(cmd.OutOrStdout(), "%s listens on %s\n", name, all.URLs[name])
			}
			return all.Wait()
		},
	}
	cmd.Flags().StringVar(&listen, "listen", listens["gateway"], "`address` of the gateway")
	o.storeFlags(cmd)
	o.partFlags(cmd)
	o.faultFlags(cmd)
	return cmd
}

// place is the verb feed.
func (o *options) place() *cobra.Command {
	var gateway string
	var how feed.Options
	cmd := &cobra.Command{
		Use:     "feed",
		Short:   "Place real invoices as orders",
		Long:    "Places the invoices of a real shop as orders at the gateway. Each has a key of its own: what was placed\nbefore is not placed again.",
		Example: "  shop feed --orders 50 --rate 10",
		Args:    cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if how.Most < 0 || how.Rate < 0 || how.Stock < 1 {
				return cli.Misused(cmd, errors.New("--orders and --rate are no less than 0, and --stock is 1 at least"))
			}
			var once sync.Once
			how.Waits = func(err error) {
				once.Do(func() { fmt.Fprintf(cmd.ErrOrStderr(), "tries again until it is answered: %v\n", err) })
			}
			placed, err := feed.Place(cmd.Context(), &httpapi.Client{URL: gateway}, feed.Orders(data.Open()), how)
			fmt.Fprintf(cmd.OutOrStdout(), "%d orders were placed\n", placed)
			return err
		},
	}
	cmd.Flags().StringVar(&gateway, "gateway", "http://"+listens["gateway"], "`URL` of the gateway")
	cmd.Flags().IntVar(&how.Most, "orders", 0, "how `many` orders; 0: all")
	cmd.Flags().Float64Var(&how.Rate, "rate", 0, "orders a `second`; 0: as fast as it goes")
	cmd.Flags().Int64Var(&how.Stock, "stock", 500, "how `many` of each item are delivered")
	return cmd
}
