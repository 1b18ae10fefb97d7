package saga_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/saga"
)

// A deploy gives the command another field between two attempts, the first of which was carried out.
func TestARepeatOfACommandWhoseTypeHasChangedIsTheSameCommand(t *testing.T) {
	t.Parallel()
	type bigger struct {
		deposit

		Currency string
	}
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	repository := aggregate.NewRepository(at.store, accounts)
	after := command.NewBus()
	command.Handle(after, "account.deposit", func(ctx context.Context, c bigger) (eventstore.Receipt, error) {
		return repository.Execute(ctx, c.Account, func(account) ([]accountEvent, error) { return []accountEvent{deposited{c.Cents, ""}}, nil })
	})
	c := saga.Command{ID: "one", Name: "account.deposit", Payload: []byte(`{"Account":"bob","Cents":5,"Transfer":""}`)}
	require.NoError(t, saga.ToBus(newBank(at.store)).Dispatch(t.Context(), c))
	require.NoError(t, saga.ToBus(after).Dispatch(t.Context(), c))
	assert.EqualValues(t, 5, at.balance(t, "bob"), "once")

	c.Payload = []byte(`{"Account":"bob","Cents":6,"Transfer":""}`)
	require.ErrorIs(t, saga.ToBus(after).Dispatch(t.Context(), c), eventstore.ErrIdempotencyMismatch)
}

// As over HTTP: who may send what is a matter of the configuration.
func TestACommandThatMayNotBeSentIsTriedAgain(t *testing.T) {
	t.Parallel()
	bus := command.NewBus()
	command.Handle(bus, "locked", func(context.Context, struct{}) (eventstore.Receipt, error) {
		return eventstore.Receipt{}, &command.ForbiddenError{Err: errors.New("no")}
	})
	err := saga.ToBus(bus).Dispatch(t.Context(), saga.Command{ID: "one", Name: "locked", Payload: []byte(`{}`)})
	require.Error(t, err)
	require.NotErrorIs(t, err, saga.ErrRefused)
}

func TestTheNextAttemptRestsForAsLongAsItIsAsked(t *testing.T) {
	t.Parallel()
	for asked, rests := range map[time.Duration]time.Duration{
		10 * time.Minute: 10 * time.Minute,
		30 * time.Hour:   saga.MaxRetryAfter,
	} {
		r := transfers.Rehearse("t1", time.Now())
		require.NoError(t, r.Event(t.Context(), "transferorder-t1", requested{"t1", "ann", "bob", 30}))
		now := time.Now()
		require.NoError(t, r.Handled(r.Commands()[0].ID, saga.RetryAfter(errAway, asked)))
		assert.WithinDuration(t, now.Add(rests), r.Timers()[0].Due, time.Minute)
	}
}

// The one that is slow holds up neither the other of its instance nor that of another.
func TestStepsTogetherAreDispatchedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := place{store: memory.NewStore(), sink: memory.NewSink()}
		nothing := func(struct{}) struct{} { return struct{}{} }
		typ := saga.Define("pair", saga.Definition[struct{}]{
			Events: []*codec.Set{transferOrders.Events()},
			On:     []saga.Rule[struct{}]{saga.Begin[struct{}](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil)},
			Steps:  []saga.Step[struct{}]{{Name: "a", Do: saga.Send("a", nothing)}, {Name: "b", Do: saga.Send("b", nothing), Together: true}},
		})
		w := at.worker(t)
		w.Sagas, w.TTL, w.DispatchTimeout = []saga.Saga{typ}, time.Hour, 30*time.Minute
		both := make(chan string)
		w.Dispatcher = saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
			select { // each waits for the other
			case both <- c.Name:
			case <-both:
			case <-ctx.Done():
				return ctx.Err()
			}
			return nil
		})
		stop := runs(t, w)
		at.requests(t, requested{ID: "t1"})
		row, err := typ.Await(t.Context(), at.store, "t1")
		require.NoError(t, err)
		assert.Equal(t, saga.Completed, row.Phase)
		entries, err := typ.Timeline(t.Context(), at.store, "t1")
		require.NoError(t, err)
		assert.Zero(t, count(entries, "saga.command.failed"))
		stop()
	})
}

// A hook counts; what is wrong with it is no reason to leave an instance alone.
func TestAHookThatPanicsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.deposits(t, "ann", 100)
	at.requests(t, requested{"t1", "ann", "bob", 30})
	w := at.worker(t)
	told := make(chan error, 100)
	w.Hooks.Decided = func(string, string, []saga.Entry) { panic("wrong") }
	w.Hooks.Failed = func(_ string, err error) {
		told <- err
		panic("wrong too")
	}
	runs(t, w)
	row, err := transfers.Await(t.Context(), at.store, "t1")
	require.NoError(t, err)
	assert.Equal(t, saga.Completed, row.Phase)
	require.ErrorContains(t, <-told, "the hook Decided panics")
	parked, err := w.Parked(t.Context())
	require.NoError(t, err)
	assert.Empty(t, parked)
}

// moody is a store of instances that says for a while that it has diverged.
type moody struct {
	saga.Store

	left atomic.Int64
}

func (m *moody) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	if m.left.Add(-1) >= 0 {
		return eventstore.Receipt{}, eventstore.ErrDiverged
	}
	return m.Store.Append(ctx, r)
}

// That the store of the instances fails over says nothing of the source. It says so for as long as one
// telling is tried; the next one has to come.
func TestAStoreOfInstancesThatDivergesIsNoSourceThatHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := place{store: memory.NewStore(), sink: memory.NewSink()}
		at.requests(t, requested{"t1", "ann", "bob", 30})
		w := at.worker(t)
		instances := &moody{Store: memory.NewStore()}
		instances.left.Store(50)
		w.Store, w.Sources, w.TTL = instances, []eventstore.LogReader{at.store}, time.Hour
		w.Hooks.Segment = func(_ string, report subscription.Report) {
			assert.NotEqual(t, subscription.Diverged, report.State, report.Note)
		}
		stop := runs(t, w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		row, err := transfers.Await(ctx, w.Store, "t1")
		require.NoError(t, err)
		assert.Equal(t, saga.Compensated, row.Phase, "ann has nothing")
		assert.Negative(t, instances.left.Load())
		stop()
	})
}
