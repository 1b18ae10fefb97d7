// Shop is a shop of five services, fed with the invoices of a real one:
//
//	go run ./examples/shop all       # all services in one process
//	go run ./examples/shop order     # one service; and so payment, inventory, shipping and gateway
//	go run ./examples/shop work      # what runs beside the servers, as a process of its own
//	go run ./examples/shop feed      # places real invoices as orders
//	go run ./examples/shop books     # does it all add up?
//	go run ./examples/shop state-at order-536365
//	go run ./examples/shop import    # the shop as one service, with all rows of the invoices
package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/examples/shop/importcmd"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

func main() { cli.Main(root()) }

const help = `A gift shop as five services, fed with the invoices of a real one. Begin with these, the first in
a terminal of its own:

  shop all                        all services in one process
  shop feed --orders 50           place real orders
  shop state-at order-536365      what one of them is now
  shop books                      does it all add up?

Events and read models are in SQLite files, or in Postgres: then give all verbs the same --postgres.`

// root is the command of the program: the verbs of its code, which cli makes, and its own.
func root() *cobra.Command {
	o := &options{services: addresses{}}
	cmd := cli.Command(cli.App{Name: "shop", Open: o.parts})
	cmd.Short, cmd.Long = "A shop of five services", help
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return o.prepare(cmd) }
	cmd.AddGroup(&cobra.Group{ID: "run", Title: "Run it:"}, &cobra.Group{ID: "look", Title: "Look at it, and steer it:"})
	for _, verb := range cmd.Commands() {
		verb.GroupID = "look"
		o.storeFlags(verb)
		o.partFlags(verb)
		o.onlyFlag(verb)
		if verb.Name() == "work" {
			verb.GroupID = "run"
			o.addressFlags(verb)
			o.refusalFlags(verb)
		}
	}
	cmd.AddCommand(o.all(), o.place(), o.books(), importcmd.Command())
	for _, name := range shop.Names {
		cmd.AddCommand(o.service(name))
	}
	for _, verb := range cmd.Commands() {
		if verb.GroupID == "" {
			verb.GroupID = "run"
		}
	}
	return cmd
}

// of returns the services that a verb is about: all, or those of --only.
func (o *options) of() []string {
	if len(o.only) == 0 {
		return slices.Clone(shop.Names)
	}
	return o.only
}
