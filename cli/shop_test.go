package cli_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// A shop with a part of each kind: a view of its orders, a reaction that greets who has placed one, and a relay
// to an archive.
type (
	order struct {
		Cents int64
		Paid  bool
	}
	orderEvent interface{ apply(o *order) }
	placed     struct{ Cents int64 }
	paid       struct{}
	spoiled    struct{} // which the view cannot fold, unless it is mended

	greeting struct{ Times int }
	greeted  struct{}
	greet    struct{ Order string }

	summary struct {
		ID     string `leftfold:"key"`
		Cents  int64
		Placed int64
		Paid   bool
	}
)

func (e placed) apply(o *order) { o.Cents += e.Cents }
func (paid) apply(o *order)     { o.Paid = true }
func (spoiled) apply(*order)    {}

var (
	orders = aggregate.Define("order", orderEvent.apply,
		codec.Event[placed]("order.placed"), codec.Event[paid]("order.paid"), codec.Event[spoiled]("order.spoiled"))
	greetings = aggregate.Define("greeting", func(_ greeted, g *greeting) { g.Times++ }, codec.Event[greeted]("greeting.sent"))

	greeter = saga.React("greeter", saga.ReactOptions{Events: []*codec.Set{orders.Events()}},
		func(_ context.Context, _ placed, m eventstore.Recorded) ([]saga.Request, error) {
			return []saga.Request{{Name: "greeting.send", Payload: greet{m.Stream.ID()}}}, nil
		})
)

// summaries are the view, of a version; mended, it knows what to do with what is spoiled.
func summaries(version int, mended bool) *projection.View[summary] {
	return projection.NewView("orders", projection.ViewOptions{Version: version},
		projection.When(func(s *summary, e placed, _ eventstore.Recorded) { s.Cents, s.Placed = s.Cents+e.Cents, s.Placed+1 }),
		projection.When(func(s *summary, _ paid, _ eventstore.Recorded) { s.Paid = true }),
		projection.When(func(*summary, spoiled, eventstore.Recorded) {
			if !mended {
				panic("an order of minus one piece")
			}
		}))
}

// ledger writes nothing down, and has one order of all events: it stops at what is spoiled.
func ledger(mended bool) *projection.Handler[*sql.Tx] {
	return projection.NewHandler("ledger", projection.HandlerOptions{Version: 1}, func(_ context.Context, _ *sql.Tx, e eventstore.Recorded) error {
		if e.Type == "order.spoiled" && !mended {
			return errors.New("there is no page for it")
		}
		return nil
	})
}

// shop is what the tests' app is made of; its files are in a folder.
type shop struct {
	dir      string
	archives bool   // in a file
	url      string // of a Postgres database for the log and the read models, in place of a file
	ttl      time.Duration
	version  int
	mended   bool
	unkind   bool         // greetings fail
	reports  atomic.Int32 // that the program's own hook was told
	other    bool         // the view has other rules, under the same version
}

func newShop(t testing.TB) *shop { return &shop{dir: t.TempDir(), version: 1} }

func (s *shop) file() string { return filepath.Join(s.dir, "shop.db") }

func (s *shop) app() cli.App { return cli.App{Name: "shop", Open: s.open} }

// kept is a store with its sink.
type kept interface {
	eventstore.Store
	eventstore.Notifier
	Close(ctx context.Context) error
}

func (s *shop) openStore(ctx context.Context) (kept, projection.Sink, error) {
	if s.url != "" {
		store, err := postgrestest.Reopen(ctx, s.url)
		if err != nil {
			return nil, nil, err
		}
		return store, store.Sink(), nil
	}
	store, err := sqlite.Open(ctx, s.file(), sqlite.Options{})
	if err != nil {
		return nil, nil, err
	}
	return store, store.Sink(), nil
}

func (s *shop) open(ctx context.Context) (cli.Parts, error) {
	store, sink, err := s.openStore(ctx)
	if err != nil {
		return cli.Parts{}, err
	}
	var archive eventstore.Appender = memory.NewStore() // that is gone with the process
	closes := store.Close
	if s.archives {
		file, err := sqlite.Open(ctx, filepath.Join(s.dir, "archive.db"), sqlite.Options{})
		if err != nil {
			return cli.Parts{}, errors.Join(err, store.Close(ctx))
		}
		archive, closes = file, func(ctx context.Context) error { return errors.Join(store.Close(ctx), file.Close(ctx)) }
	}
	bus := command.NewBus()
	greets := aggregate.NewRepository(store, greetings)
	command.Handle(bus, "greeting.send", func(ctx context.Context, c greet) (eventstore.Receipt, error) {
		if s.unkind {
			return eventstore.Receipt{}, errors.New("nobody is kind today")
		}
		return greets.Execute(ctx, c.Order, func(greeting) ([]greeted, error) { return []greeted{{}}, nil })
	})
	view := summaries(s.version, s.mended)
	if s.other {
		view = projection.NewView("orders", projection.ViewOptions{Version: s.version},
			projection.When(func(s *summary, e placed, _ eventstore.Recorded) { s.Cents += e.Cents }))
	}
	tasks := []projection.Task{projection.Into(sink, view)}
	if file, ok := sink.(*sqlite.Sink); ok {
		tasks = append(tasks, projection.On(file, ledger(s.mended)))
	}
	return cli.Parts{
		Projections: []projection.Worker{{Log: store, Events: orders.Events(), TTL: s.ttl,
			Hooks: projection.Hooks{Segment: func(projection.Generation, subscription.Report) { s.reports.Add(1) }},
			Tasks: tasks}},
		Sagas: []saga.Worker{{Store: store, Sink: sink, TTL: s.ttl, Sagas: []saga.Saga{greeter}, Dispatcher: saga.ToBus(bus)}},
		Relays: []relay.Relay{{Name: "archive", Log: store, Sink: sink, TTL: s.ttl,
			Query: eventstore.Types("order.placed"), Publisher: relay.StorePublisher{Store: archive}}},
		Aggregates: []cli.Aggregate{cli.Of(store, orders), cli.Of(store, greetings)},
		Close:      closes,
	}, nil
}

// store opens the shop's store for the test itself.
func (s *shop) store(t testing.TB) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), s.file(), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.WithoutCancel(t.Context()))) })
	return store
}

// happens appends events to an order.
func happens(t testing.TB, store aggregate.Store, id string, events ...orderEvent) eventstore.Receipt {
	t.Helper()
	receipt, err := aggregate.NewRepository(store, orders).Execute(t.Context(), id, func(order) ([]orderEvent, error) { return events, nil })
	require.NoError(t, err)
	return receipt
}

// catchesUp applies what has happened so far to the view.
func (s *shop) catchesUp(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	parts, err := s.open(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, parts.Close(context.WithoutCancel(ctx))) }()
	w := parts.Projections[0]
	w.Tasks = w.Tasks[:1]
	head, err := w.Log.Head(ctx)
	require.NoError(t, err)
	w.Hooks.Progress = func(p projection.Progress) {
		if p.Position >= head.Position {
			stop()
		}
	}
	require.NoError(t, w.Run(ctx))
}

// rows returns the view.
func (s *shop) rows(t testing.TB) (all []summary) {
	t.Helper()
	for row, err := range projection.NewReader(s.store(t).Sink(), summaries(s.version, s.mended)).All(t.Context(), projection.ListQuery{}) {
		require.NoError(t, err)
		all = append(all, row)
	}
	return all
}

// works runs the verb work until it is stopped, which returns what is seen of that.
func (s *shop) works(t testing.TB, args ...string) (stop func() ran) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan ran, 1)
	go func() { ended <- runs(ctx, cli.Command(s.app()), append([]string{"work"}, args...)...) }()
	stop = sync.OnceValue(func() ran { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	return stop
}

// ran is what a user sees of a run.
type ran struct {
	code           int
	stdout, stderr string
}

// run runs a command line of the shop in this process.
func (s *shop) run(t testing.TB, args ...string) ran {
	t.Helper()
	return runs(t.Context(), cli.Command(s.app()), args...)
}

func runs(ctx context.Context, cmd *cobra.Command, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := cli.Run(ctx, cmd, args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

// Some tests run their own binary again, as the shop's command.
const (
	childDir = "LEFTFOLD_CLI_CHILD_DIR"
	childURL = "LEFTFOLD_CLI_CHILD_URL"
	childTTL = "LEFTFOLD_CLI_CHILD_TTL"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		ttl, err := strconv.Atoi(os.Getenv(childTTL))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(cli.ExitUsage)
		}
		go func() { // it does not outlive the test
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(cli.ExitInterrupted)
		}()
		s := &shop{dir: dir, url: os.Getenv(childURL), archives: true, version: 1, ttl: time.Duration(ttl) * time.Second}
		cli.Main(cli.Command(s.app()))
	}
	os.Exit(m.Run())
}
