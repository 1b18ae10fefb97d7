package saga_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// The view would have them for ever, and each look at it would read them.
func TestTheTimersOfADeletedInstanceLeaveTheView(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := place{store: memory.NewStore(), sink: memory.NewSink()}
		w := at.worker(t)
		w.TTL, w.DispatchTimeout = time.Hour, time.Minute
		w.Dispatcher = saga.DispatcherFunc(func(context.Context, saga.Command) error { return saga.RetryAfter(errAway, time.Hour) })
		stop := runs(t, w)
		defer stop()
		pending := func() int {
			page, err := projection.NewReader(at.sink, transfers.Timers()).List(t.Context(), projection.ListQuery{})
			require.NoError(t, err)
			return len(page.Rows)
		}
		at.requests(t, requested{"t1", "ann", "bob", 30})
		time.Sleep(time.Minute)
		require.NotZero(t, pending())
		_, err := at.store.(eventstore.StreamDeleter).DeleteStream(t.Context(), transfers.Stream("t1"), eventstore.Any)
		require.NoError(t, err)
		time.Sleep(3 * time.Hour)
		assert.Zero(t, pending())

		before, err := at.store.Head(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		after, err := at.store.Head(t.Context())
		require.NoError(t, err)
		assert.Equal(t, before, after, "that is the end of it")
	})
}
