package eventbridgebus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := consumeUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	busName = "shop"
	source  = "shop.orders"
)

// Counted is an event whose effect depends on those before it.
type Counted struct{ N int64 }

var events = mustSet(codec.NewSet(codec.Event[Counted]("thing.counted")))

func mustSet(set *codec.Set, err error) *codec.Set {
	if err != nil {
		panic(err)
	}
	return set
}

// Folded is a row that is another one if an event is missing, comes twice or in another order.
type Folded struct {
	ID     string `leftfold:"key"`
	Events int64
	Sum    int64
}

func (f *Folded) apply(e Counted) {
	f.Events++
	f.Sum = (f.Sum*31 + e.N + 1) % 1_000_003
}

func folded(version int) *projection.View[Folded] {
	return projection.NewView("folded", projection.ViewOptions{Version: version},
		projection.When(func(f *Folded, e Counted, _ eventstore.Recorded) { f.apply(e) }))
}

// publisher is the service that publishes: what it has in its store, and how rows must be.
type publisher struct {
	store *memory.Store
	sink  *memory.Sink
	want  map[string]Folded
	count int64
}

func newPublisher(t testing.TB, streams, each int) *publisher {
	p := &publisher{store: memory.NewStore(), sink: memory.NewSink(), want: map[string]Folded{}}
	p.add(t, streams, each)
	return p
}

// add appends events to each of some streams, by turns.
func (p *publisher) add(t testing.TB, streams, each int) {
	for range each {
		for n := range streams {
			p.count++
			id := fmt.Sprint(n)
			_, err := p.store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
				Stream: eventstore.NewStreamID("thing", id),
				Events: []eventstore.EventData{{Type: "thing.counted", Data: fmt.Appendf(nil, `{"N":%d}`, p.count)}},
			}}})
			require.NoError(t, err)
			row := p.want[id]
			row.ID = id
			row.apply(Counted{p.count})
			p.want[id] = row
		}
	}
}

func (p *publisher) id(t testing.TB) eventstore.StoreID {
	head, err := p.store.Head(t.Context())
	require.NoError(t, err)
	return head.Store
}

// publish publishes all that is new.
func (p *publisher) publish(t testing.TB, bus *ebfake.Fake) {
	p.publishBy(t, eventbridgebus.Publisher{Client: bus.EventBridge(), Bus: busName, Source: source})
	bus.Flush()
}

func (p *publisher) publishBy(t testing.TB, by relay.Publisher) {
	r := relay.Relay{Name: "things_out", Log: p.store, Sink: p.sink, Publisher: longAgo{by}}
	require.NoError(t, r.CatchUp(t.Context()))
}

// longAgo publishes as if everything had happened an hour ago: an archive has it.
type longAgo struct{ relay.Publisher }

func (l longAgo) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	old := make([]relay.Message, len(messages))
	for n, m := range messages {
		m.RecordedAt = m.RecordedAt.Add(-time.Hour)
		old[n] = m
	}
	return l.Publisher.Publish(ctx, old)
}

// newBus returns a bus with a queue for live events and one for replays, and an archive.
func newBus(t testing.TB, options ebfake.Options) (bus *ebfake.Fake, live, replayed *ebfake.Queue) {
	bus = ebfake.New(options)
	t.Cleanup(bus.Close)
	live, replayed = bus.Queue("live"), bus.Queue("replayed")
	live.Hurry()
	replayed.Hurry()
	client := bus.EventBridge()
	rule(t, client, "live", eventbridgebus.LivePattern(source), live)
	rule(t, client, "rebuild", eventbridgebus.ReplayPattern(source), replayed)
	for range 2 { // the second time it is there
		require.NoError(t, eventbridgebus.CreateArchive(t.Context(), client, "things", ebfake.BusARN(busName), source))
	}
	return bus, live, replayed
}

func rule(t testing.TB, client *eventbridge.Client, name, pattern string, queues ...*ebfake.Queue) {
	bus := busName
	_, err := client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &name, EventBusName: &bus, EventPattern: &pattern})
	require.NoError(t, err)
	var targets []types.Target
	for _, queue := range queues {
		targets = append(targets, types.Target{Id: &queue.ARN, Arn: &queue.ARN})
	}
	_, err = client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &bus, Targets: targets})
	require.NoError(t, err)
}

// replayOf replays the archive to a rule, and takes what is in the queue into the inbox.
func replayOf(bus *ebfake.Fake, name, rule string, queue *ebfake.Queue, inbox eventbridgebus.Inbox) eventbridgebus.Replay {
	return eventbridgebus.Replay{
		Client: bus.EventBridge(), Name: name, Archive: ebfake.ArchiveARN("things"), Bus: ebfake.BusARN(busName), Rule: ebfake.RuleARN(busName, rule),
		From: time.Now().Add(-2 * time.Hour), Consumer: consumer(bus, queue, nil), Inbox: inbox, Poll: time.Millisecond,
	}
}

// sink keeps views, and readers read it.
type sink interface {
	projection.Sink
	projection.Readable
}

// receiver is the service that receives: a store for its inbox, beside a sink.
type receiver struct {
	store eventstore.Store
	sink  sink
}

var receivers = map[string]func(t testing.TB) receiver{
	"SQLite": func(t testing.TB) receiver {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "inbox.db"), sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
		return receiver{store, store.Sink()}
	},
	"Postgres": func(t testing.TB) receiver {
		store := postgrestest.Open(t)
		return receiver{store, store.Sink()}
	},
}

func inMemory() receiver { return receiver{memory.NewStore(), memory.NewSink()} }

// project brings the read model up to date.
func (r receiver) project(ctx context.Context, log eventstore.LogReader, version int) error {
	return projection.Runner{Log: log, Events: events, Tasks: []projection.Task{projection.Into(r.sink, folded(version))}}.CatchUp(ctx)
}

// check returns what is wrong with the read model.
func (r receiver) check(ctx context.Context, version int, want map[string]Folded) error {
	rows := 0
	for row, err := range projection.NewReader(r.sink, folded(version)).All(ctx, projection.ListQuery{}) {
		if err != nil {
			return err
		}
		if rows++; row != want[row.ID] {
			return fmt.Errorf("row %+v, want %+v", row, want[row.ID])
		}
	}
	if rows != len(want) {
		return fmt.Errorf("%d rows, want %d", rows, len(want))
	}
	return nil
}

func consumer(bus *ebfake.Fake, queue *ebfake.Queue, handle eventbridgebus.Handler) eventbridgebus.Consumer {
	return eventbridgebus.Consumer{Client: bus.SQS(), Queue: queue.URL, Handle: handle, Visibility: time.Second, Quiet: time.Millisecond}
}

// unsteady is a store whose first append of each event fails.
type unsteady struct {
	eventstore.Store

	mu     sync.Mutex
	failed map[eventstore.EventID]bool
}

var errUnsteady = errors.New("the database is away")

func (u *unsteady) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	u.mu.Lock()
	id := request.Writes[0].Events[0].ID
	first := !id.IsZero() && !u.failed[id] // what is held has no id of its own
	u.failed[id] = true
	u.mu.Unlock()
	if first {
		return eventstore.Receipt{}, errUnsteady
	}
	return u.Store.Append(ctx, request)
}
