package groupcommit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

var small = Options{BatchEvents: 1000, BatchBytes: 4 << 20, Batches: 8, Yields: 1}

func TestABatchHoldsWhatWaits(t *testing.T) {
	q := NewQueue(small)
	for range 5 {
		require.NoError(t, q.Put(t.Context(), sized(300, 0)))
	}
	require.Len(t, q.Cut(nil, nil), 3, "three times 300 events")
	require.Len(t, q.Cut(nil, nil), 2)

	for _, bytes := range []int{2 << 20, 2 << 20, 8 << 20, 1} {
		require.NoError(t, q.Put(t.Context(), sized(1, bytes)))
	}
	require.Len(t, q.Cut(nil, nil), 2)
	require.Len(t, q.Cut(nil, nil), 1, "an append larger than a batch goes alone")
	require.Len(t, q.Cut(nil, nil), 1)
	require.Zero(t, q.size)
	require.Empty(t, q.Cut(nil, nil))
}

func TestWhatIsNotAdmittedWaitsInItsPlace(t *testing.T) {
	q := NewQueue(small)
	all := []*Pending{sized(1, 1), sized(2, 1), sized(3, 1), sized(4, 1)}
	for _, p := range all {
		require.NoError(t, q.Put(t.Context(), p))
	}
	odd := func(p *Pending) bool { return p.size.events%2 == 1 }
	require.Equal(t, []*Pending{all[0], all[2]}, q.Cut(nil, odd))
	require.Equal(t, []*Pending{all[1], all[3]}, q.Cut(nil, nil))
}

// A batch that is full is full for everybody behind: a small append must not overtake a
// large one for ever.
func TestNobodyOvertakesAnAppendThatDidNotFit(t *testing.T) {
	q := NewQueue(small)
	all := []*Pending{sized(900, 1), sized(200, 1), sized(1, 1)}
	for _, p := range all {
		require.NoError(t, q.Put(t.Context(), p))
	}
	require.Equal(t, all[:1], q.Cut(nil, nil))
	require.Equal(t, all[1:], q.Cut(nil, nil))
}

func TestAFullQueueWaitsForRoomOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(small)
		for range small.Batches + 1 {
			require.NoError(t, q.Put(t.Context(), sized(small.BatchEvents, 0)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		answers := make(chan error, 1)
		go func() { answers <- q.Put(ctx, sized(1, 0)) }()
		synctest.Wait()
		require.Empty(t, answers)
		cancel()
		err := <-answers
		require.ErrorIs(t, err, eventstore.ErrStoreBusy)
		require.ErrorIs(t, err, context.Canceled)

		go func() { answers <- q.Put(t.Context(), sized(1, 0)) }()
		synctest.Wait()
		require.Empty(t, answers)
		q.Cut(nil, nil)
		require.NoError(t, <-answers)
	})
}

func TestTheEndOfTheContextTakesBackWhatIsQueued(t *testing.T) {
	q := NewQueue(small)
	ctx, cancel := context.WithCancel(t.Context())
	p := sized(1, 1)
	require.NoError(t, q.Put(ctx, p))
	cancel()
	_, err := q.Await(ctx, p)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.Empty(t, q.Cut(nil, nil))
}

func TestAnAppendThatIsTakenIsWaitedForWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small
		o.Patience = time.Second
		q := NewQueue(o)
		ctx, cancel := context.WithCancel(t.Context())
		answered, hung := sized(1, 1), sized(2, 1)
		require.NoError(t, q.Put(ctx, answered))
		require.NoError(t, q.Put(ctx, hung))
		require.Len(t, q.Cut(nil, nil), 2)
		cancel()
		time.AfterFunc(o.Patience/2, func() { answered.Answer(nil) })

		_, err := q.Await(ctx, answered)
		require.NoError(t, err, "it is appended, and its caller learns it")
		_, err = q.Await(ctx, hung)
		require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
		require.NotErrorIs(t, err, context.Canceled, "which would mean that it was not appended")
		require.ErrorContains(t, err, "context canceled")
	})
}

func TestAClosedQueueIsEmptiedAndTakesNothing(t *testing.T) {
	q := NewQueue(small)
	p := sized(1, 1)
	require.NoError(t, q.Put(t.Context(), p))
	q.Close()
	require.ErrorIs(t, q.Put(t.Context(), sized(1, 1)), eventstore.ErrClosed)
	require.True(t, q.Wait(), "what waits is still to be done")
	q.Discard()
	require.False(t, q.Wait())
	_, err := q.Await(t.Context(), p)
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

func sized(events, bytes int) *Pending {
	return &Pending{size: size{events, bytes}, done: make(chan struct{})}
}
