// Package demo is the verb demo of leftfold: a shop of five services, each a process with a store of its
// own, that takes the orders of a real one. Payments are declined, services are killed, a read model is
// built anew while queries go on, and in the end the books must add up.
//
// The program is all of it: a service is the same program with a hidden verb, which ends when its standard
// input does. So nothing is left of a demo that was killed. What it prints was measured in this run.
package demo

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
)

// options are what was asked for.
type options struct {
	dir      string
	postgres string
	redis    string
	kinesis  string
	listen   string
	duration time.Duration
	headless bool
	check    bool
	output   cli.Output

	feed stores.Kinesis // what kinesis says
}

const help = `Runs a shop of five services on this machine: order, payment, inventory, shipping and gateway, each a process
of its own with a SQLite file of its own. Nothing else is needed: no server, no network. The orders are those of a real
gift shop; when they are through they come again under other ids.

Watch a saga direct the services and undo what it has done when a payment is declined. On a terminal press r to have the
gateway's read model built anew while queries go on, k to kill a service (kill -9), and q or Ctrl-C to end. Without a
terminal, or with --headless, the same happens by a plan. In the end nobody places orders any more, the shop comes to
rest, and the books of all services must add up: what was placed, kept, paid and sent, and each row of each read model.

A second run on the same --dir goes on where the first ended. So does a run after kill -9.`

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use: "demo", Short: "Run a shop of services, break it, and see that nothing is lost", Long: help,
		Example: "  leftfold demo\n  leftfold demo --headless --check --for 20s -o json\n" +
			"  leftfold demo --postgres postgres://localhost/shop --redis redis://localhost:6379/0 --kinesis kinesis://shop?region=eu-west-1",
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(cmd.Flags().Changed("for")); err != nil {
				return cli.Misused(cmd, err)
			}
			return o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "leftfold-demo", "directory of the SQLite files and of what the services log; made if it is missing")
	flags.DurationVar(&o.duration, "for", 0, "place orders for so long (default: on a terminal until q or Ctrl-C, else 20s)")
	flags.BoolVar(&o.headless, "headless", false, "no screen and no keys: a line every few seconds, and things go wrong by a plan")
	flags.BoolVar(&o.check, "check", false, "exit with 1 if the books do not add up")
	flags.StringVar(&o.listen, "listen", "localhost:0", "address of the gateway; port 0 is a free one")
	flags.StringVar(&o.postgres, "postgres", "", "URL of a Postgres database with a schema for each service, in place of the files")
	flags.StringVar(&o.redis, "redis", "", "URL of a Redis that keeps the gateway's read model")
	flags.StringVar(&o.kinesis, "kinesis", "", "URL of a stream that all events go on to: kinesis://STREAM, with ?endpoint=URL&region=NAME if they are not in the environment")
	cli.OutputFlag(cmd, &o.output, cli.Table, cli.JSON)
	cmd.AddCommand(serviceCommand())
	return cmd
}

func (o *options) validate(limited bool) (err error) {
	if limited && o.duration <= 0 {
		return errors.New("--for: want more than 0")
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return fmt.Errorf("--listen %q: want HOST:PORT, such as localhost:8080", o.listen)
	}
	if o.postgres != "" && !stores.IsPostgres(o.postgres) {
		return errors.New("--postgres: want postgres://…")
	}
	if _, err := redis.ParseURL(o.redis); o.redis != "" && err != nil {
		return errors.New("--redis: want redis://HOST:PORT/DATABASE")
	}
	if o.kinesis == "" {
		return nil
	}
	o.feed, err = stores.ParseKinesis(o.kinesis)
	if err == nil && o.feed.Index != "" {
		err = errors.New("--kinesis: the events only go on to the stream, so it has no index")
	}
	return err
}
