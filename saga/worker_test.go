package saga_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// runs starts the worker and stops it with the test.
func runs(t testing.TB, w saga.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

const patience = 30 * time.Second

// awaits waits until an instance is in a phase.
func awaits(t *testing.T, at place, id string, phase saga.Phase) saga.Instance {
	t.Helper()
	reader := projection.NewReader(at.sink, transfers.Instances())
	var row saga.Instance
	require.Eventually(t, func() bool {
		var err error
		row, err = reader.Get(t.Context(), id)
		return err == nil && row.Phase == phase
	}, patience, 2*time.Millisecond, "instance %s is not %s: %+v", id, phase, &row)
	return row
}

func (at place) deposits(t testing.TB, id string, cents int64) {
	t.Helper()
	_, err := aggregate.NewRepository(at.store, accounts).Execute(t.Context(), id, func(account) ([]accountEvent, error) { return []accountEvent{deposited{cents, ""}}, nil })
	require.NoError(t, err)
}

func (at place) withdraws(t *testing.T, id, transfer string) {
	t.Helper()
	_, err := aggregate.NewRepository(at.store, accounts).Execute(t.Context(), id, func(account) ([]accountEvent, error) { return []accountEvent{withdrawn{1, transfer}}, nil })
	require.NoError(t, err)
}

func (at place) closes(t *testing.T, id string) {
	t.Helper()
	_, err := aggregate.NewRepository(at.store, accounts).Execute(t.Context(), id, func(account) ([]accountEvent, error) { return []accountEvent{closed{}}, nil })
	require.NoError(t, err)
}

func (at place) balance(t *testing.T, id string) int64 {
	t.Helper()
	state, _, err := aggregate.NewRepository(at.store, accounts).Load(t.Context(), id)
	require.NoError(t, err)
	return state.Balance
}

func (at place) requests(t *testing.T, all ...requested) {
	t.Helper()
	for _, r := range all {
		_, err := aggregate.NewRepository(at.store, transferOrders).Execute(t.Context(), r.ID, func(orders) ([]orderEvent, error) { return []orderEvent{r}, nil })
		require.NoError(t, err)
	}
}

func (at place) worker(t *testing.T) saga.Worker {
	t.Helper()
	return saga.Worker{
		Store: at.store, Sink: at.sink, Sagas: []saga.Saga{transfers}, Dispatcher: saga.ToBus(newBank(at.store)),
		Hooks: saga.Hooks{Failed: func(_ string, err error) { t.Log(err) }},
	}
}

func TestATransferMovesTheMoneyOrGivesItBack(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		at.deposits(t, "ann", 100)
		at.closes(t, "zoe")
		at.requests(t, requested{"t1", "ann", "bob", 30}, requested{"t2", "ann", "zoe", 20}, requested{"t3", "bob", "ann", 5000})
		runs(t, at.worker(t))

		awaits(t, at, "t1", saga.Completed)
		row := awaits(t, at, "t2", saga.Compensated)
		assert.Equal(t, "withdraw", row.Step, "the last that was undone")
		assert.Contains(t, row.Reason, errClosed.Error())
		awaits(t, at, "t3", saga.Compensated)
		assert.EqualValues(t, 70, at.balance(t, "ann"))
		assert.EqualValues(t, 30, at.balance(t, "bob"))

		timers, err := projection.NewReader(at.sink, transfers.Timers()).List(t.Context(), projection.ListQuery{})
		require.NoError(t, err)
		assert.Empty(t, timers.Rows)
	})
}

// Two workers share the instances, and a third source of trouble is that each command is
// delivered twice.
func TestWorkersShareInstancesAndNothingHappensTwice(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		const transfers = 8
		at.deposits(t, "ann", transfers*10)
		bank := saga.ToBus(newBank(at.store))
		for range 2 {
			w := at.worker(t)
			w.Segments, w.TTL, w.DispatchTimeout = 4, time.Second, 10*time.Second
			w.Dispatcher = saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
				return errors.Join(bank.Dispatch(ctx, c), bank.Dispatch(ctx, c))
			})
			runs(t, w)
		}
		for n := range transfers {
			at.requests(t, requested{fmt.Sprint(n), "ann", fmt.Sprint("to", n%3), 10})
		}
		for n := range transfers {
			awaits(t, at, fmt.Sprint(n), saga.Completed)
		}
		assert.Zero(t, at.balance(t, "ann"))
		assert.EqualValues(t, transfers*10, at.balance(t, "to0")+at.balance(t, "to1")+at.balance(t, "to2"))
	})
}

// A sink that is lost takes the checkpoints with it. All events are told again, and all requests
// read again: nobody takes notice.
func TestALostSinkDispatchesNothingAgain(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.deposits(t, "ann", 100)
	at.requests(t, requested{"t1", "ann", "bob", 30})
	stop := runs(t, at.worker(t))
	awaits(t, at, "t1", saga.Completed)
	stop()
	before, err := at.store.Head(t.Context())
	require.NoError(t, err)

	at.sink = memory.NewSink()
	w := at.worker(t)
	w.Dispatcher = saga.DispatcherFunc(func(_ context.Context, c saga.Command) error {
		t.Errorf("dispatched again: %s", c.Name)
		return nil
	})
	runs(t, w)
	awaits(t, at, "t1", saga.Completed)
	at.isIdle(t, w)
	after, err := at.store.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, after, "nothing was appended")
}

// isIdle waits until all subscriptions of the worker are at the head.
func (at place) isIdle(t *testing.T, w saga.Worker) {
	t.Helper()
	require.Eventually(t, func() bool {
		head, err := at.store.Head(t.Context())
		require.NoError(t, err)
		for _, s := range w.Sagas {
			for _, part := range []string{"told", "sent"} {
				at, err := at.sink.Checkpoint(t.Context(), projection.Generation{Name: s.Name() + "_" + part, Version: 1}, head.Store)
				if err != nil || at.Position() < head.Position {
					return false
				}
			}
		}
		return true
	}, patience, 2*time.Millisecond)
}

// The accounts are in one store, the orders in another, and the instances in a third.
func TestASagaListensToSeveralStores(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	bank, shop := place{store: memory.NewStore()}, place{store: memory.NewStore()}
	bank.deposits(t, "ann", 100)
	shop.requests(t, requested{"t1", "ann", "bob", 30})
	w := at.worker(t)
	w.Sources = []eventstore.LogReader{bank.store, shop.store}
	w.Dispatcher = saga.ToBus(newBank(bank.store))
	runs(t, w)
	awaits(t, at, "t1", saga.Completed)
	assert.EqualValues(t, 30, bank.balance(t, "bob"))
}

// clock is moved by hand.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time      { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) add(d time.Duration) { c.ahead.Add(int64(d)) }

func TestATimerOutlivesTheWorkerAndFiresOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		var now clock
		w := at.worker(t)
		w.Now = now.now
		w.Sagas = []saga.Saga{patient}
		at.requests(t, requested{"t1", "ann", "bob", 30}, requested{"t2", "ann", "bob", 30})
		stop := runs(t, w)
		timers := projection.NewReader(at.sink, patient.Timers())
		require.Eventually(t, func() bool {
			page, err := timers.List(t.Context(), projection.ListQuery{By: "due"})
			return err == nil && len(page.Rows) == 2
		}, patience, 2*time.Millisecond)
		stop()

		at.withdraws(t, "ann", "t2") // the event that t2 waits for
		now.add(2 * time.Hour)
		runs(t, w)
		runs(t, w) // both may fire it
		require.Eventually(t, func() bool {
			return at.ending(t, "t1") == saga.Compensated && at.ending(t, "t2").Ended()
		}, patience, 2*time.Millisecond)
		one, err := patient.Timeline(t.Context(), at.store, "t1")
		require.NoError(t, err)
		assert.Equal(t, 1, count(one, "saga.timer.fired"))
		require.Eventually(t, func() bool {
			page, err := timers.List(t.Context(), projection.ListQuery{By: "due"})
			return err == nil && len(page.Rows) == 0
		}, patience, 2*time.Millisecond)
	})
}

// ending returns how an instance has ended, empty if it has not.
func (at place) ending(t *testing.T, id string) (phase saga.Phase) {
	entries, err := patient.Timeline(t.Context(), at.store, id)
	assert.NoError(t, err)
	for _, e := range entries {
		phase += e.Phase
	}
	return phase
}

func count(entries []saga.Entry, kind string) (n int) {
	for _, e := range entries {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
