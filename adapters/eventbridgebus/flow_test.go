package eventbridgebus_test

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
	"github.com/leftfold/leftfold/projection"
)

const flowStreams = 20

// flowEach is how many events each of the streams has: 1,000 in all, or a tenth of that in everyday tests.
func flowEach() int {
	if os.Getenv("LEFTFOLD_TORTURE") == "1" {
		return 50
	}
	return 5
}

// bad is a bus that does all that it may do.
var bad = ebfake.Options{Seed: 3, Fails: 0.05, Twice: 0.1, Disorder: 60}

func TestAReadModelIsRightLiveAndByReplayHoweverTheBusBehaves(t *testing.T) {
	t.Parallel()
	for name, open := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t, flowStreams, flowEach())
			bus, live, replayed := newBus(t, bad)
			p.publish(t, bus)
			r, inbox := liveInbox(t, open, p, bus, live)
			require.NoError(t, r.project(t.Context(), inbox, 1))
			require.NoError(t, r.check(t.Context(), 1, p.want))

			// All is lost, and comes from the archive, in any order.
			again := open(t)
			recovered := eventbridgebus.Inbox{Store: again.store, Source: p.id(t), Replays: true}
			var told []eventbridgebus.ReplayProgress
			replay := eventbridgebus.Replay{
				Client: bus.EventBridge(), Name: "recovery", Archive: ebfake.ArchiveARN("things"), Bus: ebfake.BusARN(busName), Rule: ebfake.RuleARN(busName, "rebuild"),
				From: time.Now().Add(-2 * time.Hour), Consumer: consumer(bus, replayed, nil), Inbox: recovered, Poll: time.Millisecond,
				OnProgress: func(p eventbridgebus.ReplayProgress) { told = append(told, p) },
			}
			require.NoError(t, replay.Run(t.Context()))
			require.Equal(t, "COMPLETED", told[len(told)-1].State)
			require.InDelta(t, 1, told[len(told)-1].ShareDelivered, 0)
			require.NoError(t, again.project(t.Context(), recovered, 1))
			require.NoError(t, again.check(t.Context(), 1, p.want))

			// The inbox that was well takes in nothing of a replay, and a rebuild of its read model is right.
			before, err := inbox.Head(t.Context())
			require.NoError(t, err)
			replay.Name, replay.Inbox = "once_more", inbox
			replay.Inbox.Replays = true
			require.NoError(t, replay.Run(t.Context()))
			after, err := inbox.Head(t.Context())
			require.NoError(t, err)
			require.Equal(t, before, after)
			require.NoError(t, r.project(t.Context(), inbox, 2))
			require.NoError(t, r.check(t.Context(), 2, p.want))
		})
	}
}

// liveInbox takes what is in the queue into an inbox by two consumers.
func liveInbox(t testing.TB, open func(testing.TB) receiver, p *publisher, bus *ebfake.Fake, live *ebfake.Queue) (receiver, eventbridgebus.Inbox) {
	r := open(t)
	inbox := eventbridgebus.Inbox{Store: r.store, Source: p.id(t)}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := consumer(bus, live, inbox.Handle).Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	gaps, err := inbox.Gaps(t.Context())
	require.NoError(t, err)
	require.Empty(t, gaps)
	return r, inbox
}

// What an inbox may not do: each of these handlers has a planted bug, and gets what the right one gets.
func TestThePlantedBugsOfAReceiverAreCaught(t *testing.T) {
	t.Parallel()
	for name, flawed := range map[string]func(eventbridgebus.Inbox) eventbridgebus.Handler{
		"": func(i eventbridgebus.Inbox) eventbridgebus.Handler { return i.Handle },
		"no check of versions": func(i eventbridgebus.Inbox) eventbridgebus.Handler {
			return func(ctx context.Context, event json.RawMessage) error {
				e, err := eventbridgebus.ParseEvent(event)
				if err != nil {
					return err
				}
				_, err = i.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
					Stream: e.Message.Stream, Events: []eventstore.EventData{{ID: e.Message.EventID, Type: e.Message.Type, Data: e.Message.Data}},
				}}})
				return err
			}
		},
		"early events dropped": func(i eventbridgebus.Inbox) eventbridgebus.Handler {
			return func(ctx context.Context, event json.RawMessage) error {
				e, err := eventbridgebus.ParseEvent(event)
				if err != nil {
					return err
				}
				_, _ = i.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
					Stream: e.Message.Stream, Expected: eventstore.Exactly(e.Message.Version - 1),
					Events: []eventstore.EventData{{ID: e.Message.EventID, Type: e.Message.Type, Data: e.Message.Data}},
				}}})
				return nil
			}
		},
		"deleted before the commit": func(i eventbridgebus.Inbox) eventbridgebus.Handler {
			return func(ctx context.Context, event json.RawMessage) error {
				_ = i.Handle(ctx, event) // the consumer deletes it, whatever becomes of the commit
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t, 4, 10)
			bus, live, _ := newBus(t, ebfake.Options{Seed: 3, Twice: 0.2, Disorder: 10})
			p.publish(t, bus)
			r := inMemory()
			inbox := eventbridgebus.Inbox{Store: &unsteady{Store: r.store, failed: map[eventstore.EventID]bool{}}, Source: p.id(t)}
			require.NoError(t, consumer(bus, live, flawed(inbox)).Drain(t.Context()))
			inbox.Store = r.store
			require.NoError(t, r.project(t.Context(), inbox, 1))
			if err := r.check(t.Context(), 1, p.want); name == "" {
				require.NoError(t, err)
			} else {
				require.Error(t, err, "the planted bug was not caught")
			}
		})
	}
}

// A saga, or a relay, stands for whatever acts on events: here a handler that notes what it was told.
func TestAReplayFiresNoSideEffects(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, 4, 10)
	bus, live, replayed := newBus(t, bad)
	p.publish(t, bus)
	r, inbox := liveInbox(t, func(testing.TB) receiver { return inMemory() }, p, bus, live)
	told := 0
	act := projection.NewHandler("act", projection.HandlerOptions{Version: 1}, func(context.Context, *memoryTx, eventstore.Recorded) error {
		told++
		return nil
	})
	tell := func(log eventstore.LogReader) {
		require.NoError(t, projection.Runner{Log: log, Tasks: []projection.Task{projection.On(r.sink.(projection.TxSink[*memoryTx]), act)}}.CatchUp(t.Context()))
	}
	tell(inbox)
	require.Equal(t, 40, told, "each event once, and nothing of what is held")

	// By the rules it never gets a replayed event. This is the second lock: they are in its queue all the same.
	rule(t, bus.EventBridge(), "wrong", eventbridgebus.ReplayPattern(source), live)
	fresh := eventbridgebus.Inbox{Store: inMemory().store, Source: p.id(t)}
	replay := eventbridgebus.Replay{
		Client: bus.EventBridge(), Name: "again", Archive: ebfake.ArchiveARN("things"), Bus: ebfake.BusARN(busName), Rule: ebfake.RuleARN(busName, "wrong"),
		From: time.Now().Add(-2 * time.Hour), Consumer: consumer(bus, replayed, nil), Inbox: eventbridgebus.Inbox{Store: inMemory().store, Source: p.id(t), Replays: true}, Poll: time.Millisecond,
	}
	require.NoError(t, replay.Run(t.Context()))
	require.Positive(t, live.Len())
	require.NoError(t, consumer(bus, live, fresh.Handle).Drain(t.Context()))
	require.Zero(t, live.Len(), "they are dropped, not left to be tried again")
	head, err := fresh.Head(t.Context())
	require.NoError(t, err)
	require.Zero(t, head.Position)
	tell(inbox)
	require.Equal(t, 40, told)
}
