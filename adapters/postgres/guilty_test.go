package postgres_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/pgproxy"
)

// One append costs the connection each time that it is sent, as one over which the server runs
// out of memory. It is given up, and those that share a batch with it are made.
func TestAnAppendThatTheServerDoesNotSurviveIsGivenUpAndItsNeighboursAreMade(t *testing.T) {
	pool := newPool(t)
	poison := []byte("more than the server can bear")
	poisoned := map[int]bool{}
	sent := 0
	store := throughProxy(t, pool, func(f pgproxy.Frame) pgproxy.Action {
		switch {
		case f.FromClient && f.Type == pgproxy.Bind:
			poisoned[f.Conn] = bytes.Contains(f.Payload, poison)
		case f.FromClient && f.Type == pgproxy.Sync && poisoned[f.Conn]:
			sent++
			return pgproxy.Cut
		}
		return pgproxy.Forward
	})
	const innocent = 12
	var all sync.WaitGroup
	for n := range innocent {
		all.Go(func() {
			_, err := store.Append(t.Context(), toBoth(n, 0, "fine"))
			require.NoError(t, err)
		})
	}
	request := oneEvent("order-1")
	request.Writes[0].Events[0].Data = poison
	_, err := store.Append(t.Context(), request)
	all.Wait()
	require.ErrorIs(t, err, postgres.ErrUnavailable)
	require.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown, "it is known not to be made")
	require.ErrorContains(t, err, "may be too much for the server")
	require.LessOrEqual(t, sent, 8, "not for ever")
	require.EqualValues(t, 3*innocent, headOf(t, store))
}

// A batch that cannot even be written is settled and made like one whose answer is lost.
func TestABatchThatCannotBeWrittenIsMadeOverANewConnection(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	for n := range 6 {
		_, err := store.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
		require.NoError(t, store.CutAppender())
		request := oneEvent("order-1")
		if n >= 3 {
			request = loneEvent("order-1", eventstore.Version(2*n+1))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		receipt, err := store.Append(ctx, request)
		cancel()
		require.NoError(t, err)
		require.EqualValues(t, 2*n+2, receipt.Token.Position)
	}
}

// The caller of an append whose outcome is unknown may use its buffer again, and the append
// may be sent again later. What is stored is what was appended.
func TestABufferThatIsUsedAgainAfterAnUnknownOutcomeIsNotStored(t *testing.T) {
	t.Parallel()
	for _, request := range []eventstore.AppendRequest{oneEvent("order-1"), loneEvent("order-1", 0)} {
		useBufferAgain(t, request)
	}
}

func useBufferAgain(t *testing.T, request eventstore.AppendRequest) {
	t.Helper()
	pool := newPool(t)
	hung, gone := make(chan struct{}), make(chan struct{})
	appending, cut := map[int]bool{}, false
	store := throughProxy(t, pool, func(f pgproxy.Frame) pgproxy.Action {
		switch {
		case f.FromClient && f.Type == pgproxy.Bind:
			appending[f.Conn] = isAppend(f)
		case f.FromClient && f.Type == pgproxy.Sync && appending[f.Conn] && !cut:
			cut = true
			close(hung)
			<-gone
			return pgproxy.Cut // never committed; the store sends it again
		}
		return pgproxy.Forward
	})
	ctx, leave := context.WithCancel(t.Context())
	buffer := []byte("amount=100")
	request.Writes[0].Events[0].Data = buffer
	go func() {
		<-hung
		leave()
	}()
	_, err := store.Append(ctx, request)
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	copy(buffer, "amount=999")
	close(gone)
	require.NoError(t, eventstore.WaitAppended(t.Context(), store, 0))
	for e, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
		require.NoError(t, err)
		require.Equal(t, "amount=100", string(e.Data))
	}
}

// A session outlives the promotion of its standby. What is appended through it belongs to a new
// life of the store: its positions may have named other events in the old one.
func TestAnAppendThroughASessionThatOutlivedAPromotionStartsANewLife(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	old := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	_, err := old.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	require.NoError(t, replica.CatchUp(t.Context()))
	pool := poolOn(t, replica.URL("postgres"))
	standby := openOn(t, pool, postgres.Options{})
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()

	require.NoError(t, replica.PauseReplay(t.Context()))
	lost, err := old.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	require.NoError(t, primary.StopImmediate(t.Context()))
	require.NoError(t, replica.Promote(t.Context()))

	var receipt eventstore.Receipt
	require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) (err error) {
		receipt, err = standby.In(tx).Append(t.Context(), oneEvent("order-1"))
		return err
	}))
	require.NotEqual(t, lost.Token.Incarnation, receipt.Token.Incarnation)
	head, err := standby.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, receipt.Token)
	require.ErrorIs(t, head.Check(lost.Token), eventstore.ErrDiverged)
}

// A batch of conflicts and successes is sent in halves like any other.
func TestTwoBatchesUnderWayAnswerEverybody(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	store.SetOverlap(1)
	const writers, appends = 40, 25
	made := make([]int, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range appends {
				request := toBoth(w, 0, "x")
				request.Writes[0].Expected = eventstore.Exactly(eventstore.Version(2 * n)) // refused once others differ
				request.Writes[0].Stream = eventstore.NewStreamID("pair", string(rune('a'+w/2)))
				_, err := store.Append(t.Context(), request)
				if err == nil {
					made[w]++
				} else {
					require.ErrorIs(t, err, eventstore.ErrVersionConflict)
				}
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range made {
		total += n
	}
	require.Positive(t, total)
	require.EqualValues(t, 3*total, headOf(t, store), "each was answered as it ended")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, store.Close(ctx))
}
