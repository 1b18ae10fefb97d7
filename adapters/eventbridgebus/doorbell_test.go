package eventbridgebus_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/eventbridgebus"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// A doorbell with the engine behind it, ten events ringing at a time: of what a bad bus brings a part is lost for
// good, and the read model is that of the store.
func TestADoorbellBringsAReadModelUpToDateHoweverTheBusBehaves(t *testing.T) {
	t.Parallel()
	for name, open := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t, 4, 10)
			bus, live, replayed := newBus(t, bad)
			r := open(t)
			var rung atomic.Int64
			runner := projection.Runner{Log: p.store, Events: events, Tasks: []projection.Task{projection.Into(r.sink, folded(1))}}
			bell := &eventbridgebus.Doorbell{Log: p.store, CatchUp: func(ctx context.Context) error {
				rung.Add(1)
				return runner.CatchUp(ctx)
			}}
			p.publish(t, bus)
			live.Drop(20) // the bus loses them
			require.NoError(t, consumer(bus, live, bell.Handle).Drain(t.Context()))
			require.NoError(t, r.check(t.Context(), 1, p.want))
			require.Positive(t, rung.Load())

			p.add(t, 4, 1)
			p.publish(t, bus)
			before := rung.Load()
			rule(t, bus.EventBridge(), "rebuild", eventbridgebus.ReplayPattern(source), live, replayed)
			inbox := eventbridgebus.Inbox{Store: inMemory().store, Source: p.id(t), Replays: true}
			live.Drop(live.Len())
			require.NoError(t, replayOf(bus, "again", "rebuild", replayed, inbox).Run(t.Context()))
			require.NoError(t, consumer(bus, live, bell.Handle).Drain(t.Context()))
			require.Equal(t, before, rung.Load(), "a replay rings no bell")
		})
	}
}

// behind is a log that shows only so much of the one it copies, as a replica does.
type behind struct {
	eventstore.LogReader

	at atomic.Int64
}

func (b *behind) Head(ctx context.Context) (eventstore.Token, error) {
	head, err := b.LogReader.Head(ctx)
	head.Position = eventstore.Position(b.at.Load())
	return head, err
}

func (b *behind) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	query.Through = eventstore.Position(b.at.Load())
	return b.LogReader.ReadLog(ctx, query)
}

// If the event were done with, nobody would ring again when the replica has it.
func TestADoorbellKeepsAnEventThatTheReplicaDoesNotHaveYet(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, 1, 5)
	bus, _, _ := newBus(t, bad)
	p.publish(t, bus)
	r, replica := inMemory(), &behind{LogReader: p.store}
	replica.at.Store(3)
	runner := projection.Runner{Log: replica, Events: events, Tasks: []projection.Task{projection.Into(r.sink, folded(1))}}
	bell := &eventbridgebus.Doorbell{Log: replica, CatchUp: runner.CatchUp}
	last := json.RawMessage(`{"detail":` + string(bus.Taken()[4]) + `}`)
	require.ErrorContains(t, bell.Handle(t.Context(), last), "a replica that is behind")
	replica.at.Store(5)
	require.NoError(t, bell.Handle(t.Context(), last))
	require.NoError(t, r.check(t.Context(), 1, p.want))
}

func TestADoorbellKeepsAnEventWhenTheReadModelFails(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, 1, 1)
	bus, _, _ := newBus(t, bad)
	p.publish(t, bus)
	away := errors.New("the database is away")
	bell := &eventbridgebus.Doorbell{Log: p.store, CatchUp: func(context.Context) error { return away }}
	require.ErrorIs(t, bell.Handle(t.Context(), json.RawMessage(`{"detail":`+string(bus.Taken()[0])+`}`)), away)
}
