package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// orders are what a service is told when it begins, by a line on its standard input: what is in them may be
// secret. It answers with a line on its standard output that says where it listens, is told by a second
// line where all services are (a map of addresses), and says by a second one that it is up. Then it says
// now and then how many conflicts it has met. It ends when its standard input does.
type orders struct {
	Name            string
	Listen          string
	Dir             string
	Postgres, Redis string
	Kinesis         stores.Kinesis
	Details         int // version of the gateway's view
}

// says is a line of a service.
type says struct {
	Listens   string `json:",omitempty"`
	Up        bool   `json:",omitempty"`
	Conflicts int64  `json:",omitempty"`
}

const (
	lease    = 2 * time.Second // for so long a service that was killed is missed
	declines = 10              // of 100 payments
	toDrain  = 5 * time.Second // after that a service ends, whoever it keeps waiting
)

func serviceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "service", Short: "A service of the demo, which starts it", Hidden: true, Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(os.Interrupt) // Ctrl-C is for the demo: it says when to end
			return serve(context.WithoutCancel(cmd.Context()), os.Stdin, os.Stdout)
		},
	}
}

// serve runs a service until in ends.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	var o orders
	if err := lines.Decode(&o); err != nil {
		return fmt.Errorf("the demo starts it: %w", err)
	}
	config, err := o.config(ctx)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return err
	}
	if err := answers.Encode(says{Listens: listener.Addr().String()}); err != nil {
		return err
	}
	addresses := map[string][]string{}
	if err := lines.Decode(&addresses); err != nil {
		return err
	}
	found, err := discovery.NewStatic(addresses)
	if err != nil {
		return err
	}
	var conflicts atomic.Int64
	config.Opened = func(store *host.Store) {
		store.Store = counted{store.Store, &conflicts}
		if err := answers.Encode(says{Up: true}); err != nil {
			stop() // nobody is there to hear it
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
		time.AfterFunc(toDrain, func() { os.Exit(cli.ExitFailed) })
	}()
	go tell(ctx, answers, &conflicts)
	return config.Serve(ctx, o.Name, listener, found)
}

// config is the shop as it runs here.
func (o *orders) config(ctx context.Context) (shop.Config, error) {
	c := shop.Config{
		Where: host.Where{Dir: o.Dir, Postgres: o.Postgres}, Redis: o.Redis, Details: o.Details, Lease: lease,
		Faults: map[string]*host.Faults{o.Name: new(host.Faults)},
	}
	c.Faults[o.Name].Set(host.SetFaults{DeclinePercent: declines})
	if o.Kinesis.Stream == "" {
		return c, nil
	}
	client, err := o.Kinesis.Client(ctx)
	c.Feed = kinesisstore.Feed{API: client, Stream: o.Kinesis.Stream}
	return c, err
}

// tell says how many conflicts there were, when there were more.
func tell(ctx context.Context, answers *json.Encoder, conflicts *atomic.Int64) {
	told := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(250 * time.Millisecond):
		}
		if n := conflicts.Load(); n != told {
			told = n
			if err := answers.Encode(says{Conflicts: n}); err != nil {
				return // as is seen by the end of its input
			}
		}
	}
}

// counted counts the conflicts that appends meet. Each is decided again.
type counted struct {
	eventstore.Store

	conflicts *atomic.Int64
}

func (c counted) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, err := c.Store.Append(ctx, request)
	if errors.Is(err, eventstore.ErrVersionConflict) || errors.Is(err, eventstore.ErrConditionFailed) {
		c.conflicts.Add(1)
	}
	return receipt, err
}
