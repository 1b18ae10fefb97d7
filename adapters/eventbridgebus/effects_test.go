package eventbridgebus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
	"github.com/leftfold/leftfold/saga"
)

// shipping is a service that acts on what comes to its inbox: a saga sends a command for each event, and a
// relay tells another bus of it.
type shipping struct {
	receiver

	inbox eventbridgebus.Inbox
	saga  saga.Worker
	relay relay.Relay

	mu         sync.Mutex
	sent, told map[string]int // commands and messages, by the event that they are about
}

func newShipping(t testing.TB, open func(testing.TB) receiver, of *publisher) *shipping {
	s := &shipping{receiver: open(t), sent: map[string]int{}, told: map[string]int{}}
	s.inbox = eventbridgebus.Inbox{Store: s.store, Source: of.id(t)}
	ships := saga.React("ships", saga.ReactOptions{Events: []*codec.Set{events}},
		func(_ context.Context, _ Counted, m eventstore.Recorded) ([]saga.Request, error) {
			return []saga.Request{{Name: "parcel.ship", Payload: nameOf(m.Stream, m.Version)}}, nil
		})
	s.saga = saga.Worker{
		Store: open(t).store, Sink: s.sink, Sagas: []saga.Saga{ships}, Dispatcher: saga.DispatcherFunc(s.send), TTL: time.Minute,
		Hooks: saga.Hooks{Failed: func(_ string, err error) { t.Log(err) }},
	}
	s.relay = relay.Relay{Name: "shipping_out", Sink: s.sink, Publisher: publishes(s.tell)}
	return s
}

func nameOf(stream eventstore.StreamID, version eventstore.Version) string {
	return fmt.Sprintf("%s/%d", stream, version)
}

// send is given the saga's commands.
func (s *shipping) send(_ context.Context, c saga.Command) error {
	var about string
	err := json.Unmarshal(c.Payload, &about)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[about]++
	return err
}

// tell is given the relay's messages.
func (s *shipping) tell(m relay.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[nameOf(m.Stream, m.Version)]++
}

// publishes is a bus that takes everything.
type publishes func(relay.Message)

func (publishes) Limits() relay.Limits   { return relay.Limits{Messages: 10} }
func (publishes) Size(relay.Message) int { return 1 }
func (p publishes) Publish(_ context.Context, messages []relay.Message) ([]error, error) {
	for _, m := range messages {
		p(m)
	}
	return make([]error, len(messages)), nil
}

// act has the saga and the relay do what there is to do.
func (s *shipping) act(t testing.TB) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s.saga.Sources, s.relay.Log = []eventstore.LogReader{s.inbox}, s.inbox
	go func() { ended <- s.saga.Run(ctx) }()
	require.Eventually(t, func() bool {
		return s.isAt(t, "ships_told", s.inbox) && s.isAt(t, "ships_sent", s.saga.Store)
	}, time.Minute, 5*time.Millisecond, "the saga does not come to an end")
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, s.relay.CatchUp(t.Context()))
}

// isAt reports whether a part of the saga has come to the end of the log that it reads.
func (s *shipping) isAt(t testing.TB, part string, log eventstore.LogReader) bool {
	status, err := projection.StatusOf(t.Context(), log, s.sink, projection.Generation{Name: part, Version: 1})
	require.NoError(t, err)
	return len(status.Segments) > 0 && status.Lag() == 0
}

// once returns an error unless there was one command and one message for each of so many events.
func (s *shipping) once(want int) error {
	return errors.Join(eachOnce("commands", s.sent, want), eachOnce("messages", s.told, want))
}

func eachOnce(what string, about map[string]int, want int) error {
	for event, times := range about {
		if times != 1 {
			return fmt.Errorf("%d %s for %s", times, what, event)
		}
	}
	if len(about) != want {
		return fmt.Errorf("%s for %d events, want %d", what, len(about), want)
	}
	return nil
}

// Two locks keep a replay from what acts on events: the rule of the live queue, and the inbox. Each holds
// alone; with neither all would be done again. A service that stands where it stood has had the events, so it is
// the one that begins anew, with nothing but the replay to tell it, that shows it.
func TestAReplayFiresNoSideEffects(t *testing.T) {
	t.Parallel()
	for name, locks := range map[string]struct{ ruleOpen, inboxOpen, acts bool }{
		"the locks are on":            {},
		"the rule lets replays by":    {ruleOpen: true},
		"the inbox lets replays by":   {inboxOpen: true},
		"the planted bug: no lock on": {ruleOpen: true, inboxOpen: true, acts: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := replayBesideEffects(t, func(testing.TB) receiver { return inMemory() }, 5, locks.ruleOpen, locks.inboxOpen)
			if locks.acts {
				require.ErrorContains(t, err, "commands for 100 events, want 0", "the planted bug was not caught")
				require.ErrorContains(t, err, "messages for 100 events, want 0", "the planted bug was not caught")
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestTortureAReplayOfAThousandEventsFiresNoSideEffects(t *testing.T) {
	t.Parallel()
	require.NoError(t, replayBesideEffects(t, receivers["SQLite"], 50, true, false))
}

// replayBesideEffects has a service act on live events, and then replays them all, for a rebuild and past the
// locks that are open. It returns which effects there were that there should not have been.
func replayBesideEffects(t testing.TB, open func(testing.TB) receiver, each int, ruleOpen, inboxOpen bool) error {
	p := newPublisher(t, flowStreams, each)
	bus, live, replayed := newBus(t, bad)
	p.publish(t, bus)
	running, anew := newShipping(t, open, p), newShipping(t, open, p)
	require.NoError(t, consumer(bus, live, running.inbox.Handle).Drain(t.Context()))
	running.act(t)
	require.NoError(t, running.once(flowStreams*each), "live, each event has its effects once")

	if ruleOpen {
		rule(t, bus.EventBridge(), "rebuild", eventbridgebus.ReplayPattern(source), live, replayed)
	}
	running.inbox.Replays, anew.inbox.Replays = inboxOpen, inboxOpen
	rebuilt := open(t)
	recovered := eventbridgebus.Inbox{Store: rebuilt.store, Source: p.id(t), Replays: true}
	require.NoError(t, replayOf(bus, "again", "rebuild", replayed, recovered).Run(t.Context()))
	require.NoError(t, rebuilt.project(t.Context(), recovered, 1))
	require.NoError(t, rebuilt.check(t.Context(), 1, p.want), "read models are made of it")
	require.Equal(t, ruleOpen, live.Len() > 0)
	both := func(ctx context.Context, event json.RawMessage) error {
		if err := running.inbox.Handle(ctx, event); err != nil {
			return err
		}
		return anew.inbox.Handle(ctx, event)
	}
	require.NoError(t, consumer(bus, live, both).Drain(t.Context()))
	require.Zero(t, live.Len(), "they are dropped, not left to be tried again")
	running.act(t)
	anew.act(t)
	if err := running.once(flowStreams * each); err != nil {
		return err
	}
	return anew.once(0)
}
