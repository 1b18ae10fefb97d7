package eventbridgebus_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/ebfake"
)

func TestASkippedVersionLetsWhatIsHeldGoOn(t *testing.T) {
	t.Parallel()
	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: eventstore.StoreID{1}}
	require.NoError(t, inbox.Handle(t.Context(), delivered(2)))
	require.NoError(t, inbox.Skip(t.Context(), "order-1", 1))
	gaps, err := inbox.Gaps(t.Context())
	require.NoError(t, err)
	require.Empty(t, gaps)
	require.NoError(t, inbox.Skip(t.Context(), "order-1", 1), "again, as after a crash in the middle")
	require.NoError(t, inbox.Handle(t.Context(), delivered(1)), "it comes all the same")
	require.ErrorIs(t, inbox.Skip(t.Context(), "order-1", 2), eventstore.ErrVersionConflict)
}

func TestAnEventOfAnotherStoreOrAnotherPastIsAnError(t *testing.T) {
	t.Parallel()
	foreign := eventbridgebus.Inbox{Store: memory.NewStore(), Source: eventstore.StoreID{2}}
	require.ErrorIs(t, foreign.Handle(t.Context(), delivered(1)), eventstore.ErrForeignToken)
	require.ErrorIs(t, foreign.Handle(t.Context(), []byte(`{"detail":{}}`)), eventstore.ErrInvalid)

	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: eventstore.StoreID{1}}
	_, err := inbox.Store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{{Type: "x"}}}}})
	require.NoError(t, err)
	require.ErrorIs(t, inbox.Handle(t.Context(), delivered(1)), eventstore.ErrDiverged)
}

func TestWhatIsMissingIsReadFromTheEventStoreWhereItCanBeReached(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, 1, 5)
	bus, live, _ := newBus(t, ebfake.Options{})
	p.publish(t, bus)
	r := inMemory()
	inbox := eventbridgebus.Inbox{Store: r.store, Source: p.id(t), Missing: p.store}
	last := bus.Taken()[4]
	require.NoError(t, inbox.Handle(t.Context(), []byte(`{"detail":`+string(last)+`}`)))
	require.NoError(t, r.project(t.Context(), inbox, 1))
	require.NoError(t, r.check(t.Context(), 1, p.want))
	require.NoError(t, consumer(bus, live, inbox.Handle).Drain(t.Context()))
}

func TestWhatCannotBeHandledGoesToTheDeadLetterQueueAndIsKeptFromOthersMeanwhile(t *testing.T) {
	t.Parallel()
	bus, live, dead := newBus(t, ebfake.Options{})
	live.Redrive(2, dead)
	slow := bus.Queue("slow")
	slow.Send("{}")
	c := consumer(bus, slow, func(ctx context.Context, _ json.RawMessage) error {
		for range 2 {
			select {
			case <-slow.Extended():
			case <-ctx.Done():
			}
		}
		return ctx.Err()
	})
	require.NoError(t, c.Drain(t.Context()))
	live.Send("no JSON")
	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: eventstore.StoreID{1}}
	require.NoError(t, consumer(bus, live, inbox.Handle).Drain(t.Context()))
	require.Equal(t, 1, dead.Len())
}

func TestAReplayThatFailsSaysSoAndOneThatLeavesGapsNamesThem(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, 2, 2)
	bus, _, replayed := newBus(t, ebfake.Options{})
	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: p.id(t), Replays: true}
	replay := eventbridgebus.Replay{
		Client: bus.EventBridge(), Name: "broken", Archive: ebfake.ArchiveARN("things"), Bus: ebfake.BusARN(busName), Rule: ebfake.RuleARN(busName, "rebuild"),
		From: time.Now().Add(-2 * time.Hour), Consumer: consumer(bus, replayed, nil), Inbox: inbox, Poll: time.Millisecond,
	}
	bus.BreakReplay("broken")
	require.ErrorContains(t, replay.Run(t.Context()), "FAILED")

	replay.Name, replay.Inbox.Replays = "whole", false
	require.ErrorContains(t, replay.Run(t.Context()), "set its Replays")
	replay.Inbox.Replays, replay.To = true, time.Now()
	require.ErrorContains(t, replay.Run(t.Context()), "may not be in the archive yet")
	replay.To = time.Time{}
	p.publish(t, bus)
	require.NoError(t, inbox.Handle(t.Context(), orphan(t, bus)))
	var gap *eventbridgebus.GapError
	require.ErrorAs(t, replay.Run(t.Context()), &gap)
	require.Len(t, gap.Gaps, 1)
	require.Equal(t, eventstore.StreamID("thing-orphan"), gap.Gaps[0].Stream)
	require.ErrorAs(t, replay.Run(t.Context()), &gap, "again by its name: it goes on")
	replay.To = time.Now().Add(-11 * time.Minute)
	require.ErrorContains(t, replay.Run(t.Context()), "up to", "it would not bring what is wanted")
	replay.To, replay.Rule = time.Time{}, ebfake.RuleARN(busName, "live")
	require.ErrorContains(t, replay.Run(t.Context()), "to the rules")
	replay.Rule, replay.From = ebfake.RuleARN(busName, "rebuild"), replay.From.Add(-time.Hour)
	require.ErrorContains(t, replay.Run(t.Context()), "choose another name")
}

// A replay that goes on as it was started is asked for again with the same To, or with none.
func TestAReplayGoesOnByItsNameWithTheSameTo(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, 2, 2)
	bus, _, replayed := newBus(t, ebfake.Options{})
	p.publish(t, bus)
	inbox := eventbridgebus.Inbox{Store: memory.NewStore(), Source: p.id(t), Replays: true}
	replay := replayOf(bus, "named", "rebuild", replayed, inbox)
	replay.To = time.Now().Add(-30 * time.Minute)
	require.NoError(t, replay.Run(t.Context()))
	require.NoError(t, replay.Run(t.Context()))
	replay.To = time.Time{}
	require.NoError(t, replay.Run(t.Context()))
}

// orphan returns an event whose stream nobody has.
func orphan(t testing.TB, bus *ebfake.Fake) []byte {
	var detail map[string]any
	require.NoError(t, json.Unmarshal(bus.Taken()[0], &detail))
	detail["subject"], detail["streamversion"] = "thing-orphan", "3"
	text, err := json.Marshal(map[string]any{"detail": detail})
	require.NoError(t, err)
	return text
}
