package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

func TestABatchHoldsWhatWaits(t *testing.T) {
	q := newQueue()
	for range 5 {
		require.NoError(t, q.put(t.Context(), sized(300, 0)))
	}
	require.Len(t, q.take(), 3, "three times 300 events")
	require.Len(t, q.take(), 2)

	for _, bytes := range []int{batchBytes / 2, batchBytes / 2, 2 * batchBytes, 1} {
		require.NoError(t, q.put(t.Context(), sized(1, bytes)))
	}
	require.Len(t, q.take(), 2)
	require.Len(t, q.take(), 1, "an append larger than a batch goes alone")
	require.Len(t, q.take(), 1)
	require.Zero(t, q.size)
}

func TestAFullQueueWaitsForRoomOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		for range queuedBatches + 1 {
			require.NoError(t, q.put(t.Context(), sized(batchEvents, 0)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		answers := make(chan error, 1)
		go func() { answers <- q.put(ctx, sized(1, 0)) }()
		synctest.Wait()
		require.Empty(t, answers)
		cancel()
		err := <-answers
		require.ErrorIs(t, err, eventstore.ErrStoreBusy)
		require.ErrorIs(t, err, context.Canceled)

		go func() { answers <- q.put(t.Context(), sized(1, 0)) }()
		synctest.Wait()
		require.Empty(t, answers)
		q.take()
		require.NoError(t, <-answers)
	})
}

func TestAnAppendThatIsGivenUpInTheQueueIsNotAppended(t *testing.T) {
	store := openInternal(t)
	release := holdCommit(store)
	taken := await(t.Context(), store, put(t, store, "order-taken"))
	<-release.reached

	ctx, cancel := context.WithCancel(t.Context())
	waiting := await(ctx, store, put(t, store, "order-waiting"))
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)

	close(release.now)
	require.NoError(t, <-taken)
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, head.Position)
}

func TestAnAppendThatIsTakenGetsItsRealOutcome(t *testing.T) {
	store := openInternal(t)
	release := holdCommit(store)
	ctx, cancel := context.WithCancel(t.Context())
	answer := await(ctx, store, put(t, store, "order-1"))
	<-release.reached
	cancel()
	close(release.now)
	require.NoError(t, <-answer, "it is appended, and its caller learns it")
}

func TestCloseAnswersEverybody(t *testing.T) {
	store := openInternal(t)
	release := holdCommit(store)
	var answers []<-chan error
	for n := range 10 {
		p := put(t, store, eventstore.NewStreamID("order", fmt.Sprint(n)))
		answers = append(answers, await(t.Context(), store, p))
	}
	reader := make(chan error, 1)
	go func() { reader <- store.WaitAppended(t.Context(), 1000) }()
	<-release.reached
	closed := make(chan error, 1)
	go func() { closed <- store.Close(t.Context()) }()
	close(release.now)
	for _, answer := range answers {
		require.NoError(t, <-answer)
	}
	require.NoError(t, <-closed)
	require.ErrorIs(t, <-reader, eventstore.ErrClosed)
	_, err := store.Head(t.Context())
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

func TestCloseInAHurryRefusesWhatWaits(t *testing.T) {
	store := openInternal(t)
	release := holdCommit(store)
	taken := await(t.Context(), store, put(t, store, "order-taken"))
	<-release.reached
	waiting := await(t.Context(), store, put(t, store, "order-waiting"))
	hurry, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan error, 1)
	go func() { closed <- store.Close(hurry) }()
	require.ErrorIs(t, <-waiting, eventstore.ErrClosed)
	close(release.now)
	require.NoError(t, <-taken)
	require.ErrorIs(t, <-closed, context.Canceled)
}

func sized(events, bytes int) *pending {
	return &pending{size: size{events, bytes}, done: make(chan struct{})}
}

// held is a commit that waits.
type held struct{ reached, now chan struct{} }

// holdCommit makes the store's next commit wait until now is closed.
func holdCommit(store *Store) held {
	h := held{make(chan struct{}), make(chan struct{})}
	var once sync.Once
	store.file.commit = func(tx *sql.Tx) error {
		once.Do(func() { close(h.reached) })
		<-h.now
		return tx.Commit()
	}
	return h
}

// put queues an append; await waits for its answer.
func put(t *testing.T, store *Store, stream eventstore.StreamID) *pending {
	t.Helper()
	request, err := placed(stream, "x").Prepare(eventstore.Limits{})
	require.NoError(t, err)
	p := newPending(request)
	require.NoError(t, store.queue.put(t.Context(), p))
	return p
}

func await(ctx context.Context, store *Store, p *pending) <-chan error {
	answer := make(chan error, 1)
	go func() {
		_, err := store.queue.await(ctx, p)
		answer <- err
	}()
	return answer
}
