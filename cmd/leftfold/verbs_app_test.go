package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// A shop with a part of each kind, for the verbs of cli.Command: its view parks what is spoiled, and of its sagas one waits
// for a greeting that fails, and one is stuck with it.
type (
	stock     struct{ Pieces int64 }
	fact      interface{ apply(s *stock) }
	delivered struct{ Pieces int64 }
	spoiled   struct{}
	greet     struct{ Order string }

	pieces struct {
		ID     string `leftfold:"key"`
		Pieces int64
	}
)

func (e delivered) apply(s *stock) { s.Pieces += e.Pieces }
func (spoiled) apply(s *stock)     { s.Pieces = 0 }

var (
	orders  = aggregate.Define("order", fact.apply, codec.Event[delivered]("order.delivered"), codec.Event[spoiled]("order.spoiled"))
	greeter = apologises("greeter", saga.Retry{})
	once    = apologises("once", saga.Retry{Attempts: 1}) // and is stuck then
)

func apologises(name string, retry saga.Retry) *saga.Reaction {
	return saga.React(name, saga.ReactOptions{Events: []*codec.Set{orders.Events()}, Retry: retry},
		func(_ context.Context, _ spoiled, m eventstore.Recorded) ([]saga.Request, error) {
			return []saga.Request{{Name: "greeting.send", Payload: greet{m.Stream.ID()}}}, nil
		})
}

// shop is a program on a file.
type shop struct {
	dir     string
	version int // of its view
}

func (s *shop) file() string { return filepath.Join(s.dir, "shop.db") }

func (s *shop) app() cli.App { return cli.App{Name: "shop", Open: s.open} }

func (s *shop) open(ctx context.Context) (cli.Parts, error) {
	if s.dir == "" {
		return cli.Parts{}, errors.New("the shop has no file")
	}
	store, err := sqlite.Open(ctx, s.file(), sqlite.Options{})
	if err != nil {
		return cli.Parts{}, err
	}
	view := projection.NewView("orders", projection.ViewOptions{Version: s.version},
		projection.When(func(p *pieces, e delivered, _ eventstore.Recorded) { p.Pieces += e.Pieces }),
		projection.When(func(*pieces, spoiled, eventstore.Recorded) { panic("it is spoiled") }))
	bus := command.NewBus()
	command.Handle(bus, "greeting.send", func(context.Context, greet) (eventstore.Receipt, error) {
		return eventstore.Receipt{}, errors.New("nobody is kind today")
	})
	return cli.Parts{
		Projections: []projection.Worker{{Log: store, Events: orders.Events(), Tasks: []projection.Task{projection.Into(store.Sink(), view)}}},
		Sagas:       []saga.Worker{{Store: store, Sink: store.Sink(), Sagas: []saga.Saga{greeter, once}, Dispatcher: saga.ToBus(bus)}},
		Relays: []relay.Relay{{Name: "archive", Log: store, Sink: store.Sink(),
			Query: eventstore.Types("order.delivered"), Publisher: relay.StorePublisher{Store: memory.NewStore()}}},
		Aggregates: []cli.Aggregate{cli.Of(store, orders)},
		Close:      store.Close,
	}, nil
}

// newShop returns a shop with two orders, one of them spoiled, and all that its parts have made of them:
// of its view there are two generations.
func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{dir: t.TempDir(), version: 1}
	store, err := sqlite.Open(t.Context(), s.file(), sqlite.Options{})
	require.NoError(t, err)
	for id, facts := range map[string][]fact{"1": {delivered{5}, delivered{2}}, "2": {delivered{1}, spoiled{}}} {
		request := func(stock) ([]fact, error) { return facts, nil }
		_, err := aggregate.NewRepository(store, orders).Execute(t.Context(), id, request)
		require.NoError(t, err)
	}
	require.NoError(t, store.Close(context.WithoutCancel(t.Context())))
	require.NoError(t, os.Chmod(s.file(), 0o666)) // of which the doctor warns
	s.works(t)
	newer := shop{s.dir, 2}
	r := runs(t.Context(), cli.Command(newer.app()), "projections", "rebuild", "orders")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	return s
}

// works has the parts at work until all are through, and the greeting has failed.
func (s *shop) works(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan ran, 1)
	go func() { ended <- runs(ctx, cli.Command(s.app()), "work") }()
	require.Eventually(t, func() bool {
		lag := runs(t.Context(), cli.Command(s.app()), "lag", "--most", "0")
		timers := runs(t.Context(), cli.Command(s.app()), "timers", "-o", "jsonl")
		stuck := runs(t.Context(), cli.Command(s.app()), "sagas", "list", "--phase", "stuck", "-o", "jsonl")
		return lag.code == cli.ExitOK && timers.stdout != "" && stuck.stdout != ""
	}, waits, looks)
	stop()
	r := <-ended
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
}
