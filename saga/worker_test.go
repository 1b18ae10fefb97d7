package saga_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// runs starts the worker and stops it with the test.
func runs(t *testing.T, w saga.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

// awaits waits until an instance is in a phase.
func awaits(t *testing.T, at place, id string, phase saga.Phase) saga.Instance {
	t.Helper()
	reader := projection.NewReader(at.sink, transfers.Instances())
	var row saga.Instance
	require.Eventually(t, func() bool {
		var err error
		row, err = reader.Get(t.Context(), id)
		return err == nil && row.Phase == phase
	}, 20*time.Second, 2*time.Millisecond, "instance %s is not %s: %+v", id, phase, &row)
	return row
}

func (at place) bank(t *testing.T, balances map[string]int64) {
	repository := aggregate.NewRepository(at.store, accounts)
	for id, cents := range balances {
		_, err := repository.Execute(t.Context(), id, func(account) ([]accountEvent, error) { return []accountEvent{deposited{Cents: cents}}, nil })
		require.NoError(t, err)
	}
}

func (at place) balance(t *testing.T, id string) int64 {
	state, _, err := aggregate.NewRepository(at.store, accounts).Load(t.Context(), id)
	require.NoError(t, err)
	return state.Balance
}

func (at place) request(t *testing.T, r requested) {
	_, err := aggregate.NewRepository(at.store, transferOrders).Execute(t.Context(), r.ID, func(orders) ([]orderEvent, error) { return []orderEvent{r}, nil })
	require.NoError(t, err)
}

func (at place) worker(t *testing.T) saga.Worker {
	return saga.Worker{
		Store: at.store, Sink: at.sink, Sagas: []saga.Saga{transfers}, Dispatcher: saga.ToBus(newBank(at.store)),
		Hooks: saga.Hooks{Failed: func(_ string, err error) { t.Log(err) }},
	}
}

func TestATransferMovesTheMoneyOrGivesItBack(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		at.bank(t, map[string]int64{"ann": 100, "bob": 0, "zoe": 0})
		_, err := aggregate.NewRepository(at.store, accounts).Execute(t.Context(), "zoe", func(account) ([]accountEvent, error) { return []accountEvent{closed{}}, nil })
		require.NoError(t, err)
		at.request(t, requested{"t1", "ann", "bob", 30})
		at.request(t, requested{"t2", "ann", "zoe", 20})
		at.request(t, requested{"t3", "bob", "ann", 5000})
		runs(t, at.worker(t))

		awaits(t, at, "t1", saga.Completed)
		row := awaits(t, at, "t2", saga.Compensated)
		assert.Contains(t, row.Reason, "closed")
		awaits(t, at, "t3", saga.Compensated)
		assert.EqualValues(t, 70, at.balance(t, "ann"))
		assert.EqualValues(t, 30, at.balance(t, "bob"))
	})
}
