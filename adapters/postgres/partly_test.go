package postgres

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
	"github.com/leftfold/leftfold/internal/pgproxy"
)

// The answer to a batch of two is lost: one append was made, the other was refused. The
// first is found in the log; the second is sent again, and the server is too busy for it.
// The caller of the first must not hear of that: it would append again.
func TestAnAppendThatWasMadeIsNotToldThatItsNeighbourFailed(t *testing.T) {
	t.Parallel()
	pool := internalPool(t)
	b := &brokenBatch{first: make(chan struct{}), queued: make(chan struct{}), settled: make(chan struct{}), locked: make(chan struct{})}
	store := storeThrough(t, pool, b.hook)

	first := queued(t, store, "order-1", eventstore.Any)
	<-b.first // it is under way, and so the next two share a batch
	made := queued(t, store, "order-2", eventstore.Any)
	refused := queued(t, store, "order-3", eventstore.Exactly(7))
	close(b.queued)
	receipt, err := store.queue.Await(t.Context(), first)
	require.NoError(t, err)
	require.EqualValues(t, 1, receipt.Token.Position)

	<-b.settled
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(context.Background()) }()
	require.NoError(t, store.LockIn(t.Context(), holder))
	close(b.locked)
	receipt, err = store.queue.Await(t.Context(), made)
	require.NoError(t, err)
	require.EqualValues(t, 2, receipt.Token.Position)
	_, err = store.queue.Await(t.Context(), refused)
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.Equal(t, 1, b.lost)
}

// queued puts an append of one event into the store's queue, and does not wait for it.
func queued(t *testing.T, store *Store, stream eventstore.StreamID, expected eventstore.ExpectedVersion) *groupcommit.Pending {
	t.Helper()
	request, err := eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: stream, Expected: expected, Events: []eventstore.EventData{{Type: "order.placed"}}},
	}}.Prepare(store.limits)
	require.NoError(t, err)
	p := groupcommit.NewPending(request)
	require.NoError(t, store.queue.Put(t.Context(), p))
	return p
}

// brokenBatch holds the first append until others are queued behind it, loses the answer to
// these, and holds the answer to the question what became of them.
type brokenBatch struct {
	first, queued, settled, locked chan struct{}

	appends, lost  int
	losing, asking bool // with the next Sync, at the next ReadyForQuery
}

func (b *brokenBatch) hook(f pgproxy.Frame) pgproxy.Action {
	switch {
	case f.FromClient && f.Type == pgproxy.Bind && bytes.Contains(f.Payload, []byte("/append\x00")):
		b.appends++
		b.losing = b.appends == 2
		if b.appends == 1 {
			close(b.first)
			return pgproxy.Pause(b.queued)
		}
	case f.FromClient && f.Type == pgproxy.Bind && bytes.Contains(f.Payload, []byte("/settle\x00")):
		b.asking = true
	case f.FromClient && f.Type == pgproxy.Sync && b.losing:
		b.losing = false
		b.lost++
		return pgproxy.DeliverThenCut
	case !f.FromClient && f.Type == pgproxy.ReadyForQuery && b.asking:
		b.asking = false
		close(b.settled)
		return pgproxy.Pause(b.locked)
	}
	return pgproxy.Forward
}

// storeThrough opens a store on the pool's database whose connections meet the hook. It waits for
// the lock of the store for a moment only.
func storeThrough(t *testing.T, pool *pgxpool.Pool, hook pgproxy.Hook) *Store {
	t.Helper()
	target := pool.Config().ConnConfig
	proxy, err := pgproxy.Start(t.Context(), fmt.Sprintf("%s:%d", target.Host, target.Port), hook)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	through, err := pgxpool.New(t.Context(), fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&lock_timeout=200ms", target.User, proxy.Addr(), target.Database))
	require.NoError(t, err)
	t.Cleanup(through.Close)
	store, err := Open(t.Context(), through, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	return store
}
