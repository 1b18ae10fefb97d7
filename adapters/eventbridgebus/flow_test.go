package eventbridgebus_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
)

const flowStreams = 20

// bad is a bus that does all that it may do.
var bad = ebfake.Options{Seed: 3, Fails: 0.05, Twice: 0.1, Disorder: 60}

func TestAReadModelIsRightLiveAndByReplayHoweverTheBusBehaves(t *testing.T) {
	t.Parallel()
	for name, open := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liveAndByReplay(t, open, 5)
		})
	}
}

func TestTortureAReadModelOfAThousandEventsIsRightLiveAndByReplay(t *testing.T) {
	t.Parallel()
	for name, open := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liveAndByReplay(t, open, 50)
		})
	}
}

// liveAndByReplay has a bad bus carry so many events of each stream.
func liveAndByReplay(t *testing.T, open func(testing.TB) receiver, each int) {
	p := newPublisher(t, flowStreams, each)
	bus, live, replayed := newBus(t, bad)
	p.publish(t, bus)
	r, inbox := liveInbox(t, open, p, bus, live)
	require.NoError(t, r.project(t.Context(), inbox, 1))
	require.NoError(t, r.check(t.Context(), 1, p.want))

	// All is lost, and comes from the archive, in any order.
	again := open(t)
	recovered := eventbridgebus.Inbox{Store: again.store, Source: p.id(t), Replays: true}
	var told []eventbridgebus.ReplayProgress
	replay := replayOf(bus, "recovery", "rebuild", replayed, recovered)
	replay.OnProgress = func(p eventbridgebus.ReplayProgress) { told = append(told, p) }
	require.NoError(t, replay.Run(t.Context()))
	require.Equal(t, "COMPLETED", told[len(told)-1].State)
	require.InDelta(t, 1, told[len(told)-1].ShareDelivered, 0)
	require.NoError(t, again.project(t.Context(), recovered, 1))
	require.NoError(t, again.check(t.Context(), 1, p.want))

	// The inbox that was well takes in nothing of a replay, and a rebuild of its read model is right.
	before, err := inbox.Head(t.Context())
	require.NoError(t, err)
	inbox.Replays = true
	require.NoError(t, replayOf(bus, "once_more", "rebuild", replayed, inbox).Run(t.Context()))
	after, err := inbox.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, r.project(t.Context(), inbox, 2))
	require.NoError(t, r.check(t.Context(), 2, p.want))
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
