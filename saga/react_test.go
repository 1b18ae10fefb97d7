package saga_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// gift gives a cent to both sides of a transfer, each time with another text: it looks something up.
func gift(asked *atomic.Int64) *saga.Reaction {
	return saga.React("gift", saga.ReactOptions{Events: []*codec.Set{transferOrders.Events()}},
		func(_ context.Context, e requested, _ eventstore.Recorded) ([]saga.Request, error) {
			switch n := asked.Add(1); e.ID {
			case "none":
				return nil, nil
			case "bad":
				return nil, errors.New("nobody knows")
			default:
				return []saga.Request{
					{Name: "account.deposit", Payload: deposit{e.From, n, ""}},
					{Name: "account.deposit", Payload: deposit{e.To, n, ""}},
				}, nil
			}
		})
}

func TestAReactionSendsWhatItReturnedFirst(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, at place) {
		var asked atomic.Int64
		w := at.worker(t)
		w.Sagas = []saga.Saga{gift(&asked)}
		w.Dispatcher = losing(w.Dispatcher)
		stop := runs(t, w)
		at.requests(t, requested{ID: "none"}, requested{ID: "t1", From: "ann", To: "bob"}, requested{ID: "bad"}, requested{ID: "t2", From: "eve", To: "eve"})
		instances := projection.NewReader(at.sink, gift(&asked).Instances())
		require.Eventually(t, func() bool {
			page, err := instances.List(t.Context(), projection.ListQuery{By: "phase"})
			return err == nil && len(page.Rows) == 2 && page.Rows[1].Phase == saga.Completed && page.Rows[0].Phase == saga.Completed
		}, patience, 2*time.Millisecond)
		at.isIdle(t, w)
		parked, err := w.Parked(t.Context())
		require.NoError(t, err)
		require.Len(t, parked, 1)
		assert.Equal(t, "nobody knows", parked[0].Cause)
		stop()
		assert.Positive(t, at.balance(t, "ann"))
		assert.Equal(t, at.balance(t, "ann"), at.balance(t, "bob"))
	})
}
