package subscription_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target records what takes effect. Faults are planted by before (nothing takes effect)
// and after (the answer is lost); both see the number of the call, from 1.
type target struct {
	before, after func(call int) error

	mu      sync.Mutex
	calls   int
	at      subscription.Checkpoint
	windows []subscription.Window // applied
}

func (t *target) Checkpoint(ctx context.Context, _ eventstore.StoreID) (subscription.Checkpoint, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at, ctx.Err()
}

func (t *target) Apply(ctx context.Context, w subscription.Window) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.before != nil {
		if err := t.before(t.calls); err != nil {
			return err
		}
	}
	if w.From != t.at {
		return subscription.ErrStale
	}
	t.at = w.To
	t.windows = append(t.windows, w)
	if t.after != nil {
		return t.after(t.calls)
	}
	return nil
}

// applied returns the positions that took effect, in order.
func (t *target) applied() (positions []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.windows {
		for _, event := range w.Events {
			positions = append(positions, int(event.Position))
		}
	}
	return positions
}

func upTo(n int) (positions []int) {
	for position := range n {
		positions = append(positions, position+1)
	}
	return positions
}

// appendTo appends events of the types to the store, each by itself.
func appendTo(t testing.TB, store eventstore.Appender, types ...string) (last eventstore.Receipt) {
	t.Helper()
	for _, name := range types {
		receipt, err := add(store, name, []byte("{}"))
		require.NoError(t, err)
		last = receipt
	}
	return last
}

func add(store eventstore.Appender, name string, data []byte) (eventstore.Receipt, error) {
	return store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "test-1", Events: []eventstore.EventData{{Type: name, Data: data}}},
	}})
}

// filled returns a store with n events of type "some".
func filled(t testing.TB, n int) *memory.Store {
	t.Helper()
	store := memory.NewStore()
	for range n {
		appendTo(t, store, "some")
	}
	return store
}

// log is a LogReader with something changed. It cannot notify.
type log struct {
	eventstore.LogReader
	as   *eventstore.Identity                             // presented instead of the store's
	head func(eventstore.Token) (eventstore.Token, error) // seen last
	read func(eventstore.LogQuery) (*eventstore.LogRead, error)
}

func (l log) Head(ctx context.Context) (eventstore.Token, error) {
	head, err := l.LogReader.Head(ctx)
	if l.as != nil {
		head.Identity = *l.as
	}
	if err == nil && l.head != nil {
		return l.head(head)
	}
	return head, err
}

func (l log) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	if l.read != nil {
		return l.read(query)
	}
	read, err := l.LogReader.ReadLog(ctx, query)
	if err == nil && l.as != nil {
		read.Identity = *l.as
	}
	return read, err
}

// notifying is a log that wakes its readers.
type notifying struct {
	log
	eventstore.Notifier
}

// changed returns a read with other events.
func changed(read *eventstore.LogRead, events iter.Seq2[eventstore.Recorded, error]) *eventstore.LogRead {
	return eventstore.NewLogRead(*read, events)
}

func identityOf(t testing.TB, log eventstore.LogReader) eventstore.Identity {
	t.Helper()
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	return head.Identity
}

func catchUp(ctx context.Context, log eventstore.LogReader, query eventstore.Query, to subscription.Target, window int) error {
	return subscription.New("test", log, query, to, subscription.Options{Window: window}).CatchUp(ctx)
}

func wrong(what string, got, want any) error {
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}
