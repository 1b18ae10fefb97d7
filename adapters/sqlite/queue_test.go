package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

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
func put(t *testing.T, store *Store, stream eventstore.StreamID) *groupcommit.Pending {
	t.Helper()
	request, err := placed(stream, "x").Prepare(eventstore.Limits{})
	require.NoError(t, err)
	p := groupcommit.NewPending(request)
	require.NoError(t, store.queue.Put(t.Context(), p))
	return p
}

func await(ctx context.Context, store *Store, p *groupcommit.Pending) <-chan error {
	answer := make(chan error, 1)
	go func() {
		_, err := store.queue.Await(ctx, p)
		answer <- err
	}()
	return answer
}
