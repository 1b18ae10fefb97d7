package subscription_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// restored is a store whose backup was restored: the identity is the old one and every
// position is there again, but from the second on they name other events.
func restored(t testing.TB, old *memory.Store, n int) log {
	as := identityOf(t, old)
	return log{LogReader: filled(t, n), as: &as}
}

// checkRollback is the rule as a check, so that a mutant can be shown to break it.
func checkRollback(t testing.TB, mutate func(eventstore.LogReader, *target) eventstore.LogReader) error {
	store, to := filled(t, 5), &target{}
	require.NoError(t, catchUp(t.Context(), store, eventstore.Query{}, to, 2))
	stood := to.at

	after := mutate(restored(t, store, 9), to)
	if err := catchUp(t.Context(), after, eventstore.Query{}, to, 2); !errors.Is(err, eventstore.ErrDiverged) {
		return wrong("error", err, eventstore.ErrDiverged)
	}
	if to.at != stood || len(to.applied()) != 5 {
		return wrong("applied", to.applied(), upTo(5))
	}
	return nil
}

func TestARollbackThatReusesPositionsIsDiverged(t *testing.T) {
	require.NoError(t, checkRollback(t, func(log eventstore.LogReader, _ *target) eventstore.LogReader { return log }))
}

// switched is a log behind which another one may be put.
type switched struct{ to atomic.Pointer[log] }

func (s *switched) Head(ctx context.Context) (eventstore.Token, error) { return s.to.Load().Head(ctx) }
func (s *switched) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	return s.to.Load().ReadLog(ctx, query)
}

// A standby without the last events takes over, and nobody appends to it: what follows the log
// has nothing to wait for, and must notice all the same.
func TestARollbackIsNoticedThoughNothingIsAppended(t *testing.T) {
	for _, left := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			store, to := filled(t, 5), &target{}
			var following switched
			following.to.Store(&log{LogReader: store})
			ended := make(chan error, 1)
			go func() {
				ended <- subscription.New("test", &following, eventstore.Query{}, to, subscription.Options{}).Run(t.Context())
			}()
			require.Eventually(t, func() bool { return len(to.applied()) == 5 }, soon, often)
			after := restored(t, store, left)
			following.to.Store(&after)
			require.ErrorIs(t, <-ended, eventstore.ErrDiverged)
			require.Len(t, to.applied(), 5)
		})
	}
}

// A store that tells the reader what it wants to hear hides the rollback.
func TestAStoreThatHidesItsAnchorIsCaught(t *testing.T) {
	err := checkRollback(t, func(inner eventstore.LogReader, to *target) eventstore.LogReader {
		return log{LogReader: inner, read: func(query eventstore.LogQuery) (*eventstore.LogRead, error) {
			read, err := inner.ReadLog(t.Context(), query)
			to.mu.Lock()
			defer to.mu.Unlock()
			if err == nil && query.After == to.at.Position() {
				read.After = to.at.Anchor
			}
			return read, err
		}}
	})
	require.Error(t, err, "the mutant survived")
}

func TestACheckpointThatIsNotOfThisLogIsDiverged(t *testing.T) {
	store := filled(t, 3)
	ours := identityOf(t, store)
	next := eventstore.Identity{Store: ours.Store, Incarnation: ours.Incarnation + 1}
	other := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	anchor := eventstore.Anchor{Position: 2, EventID: eventstore.NewEventID()}

	for name, c := range map[string]struct {
		at   subscription.Checkpoint
		says string
	}{
		"it is ahead of the log":             {subscription.Checkpoint{Source: ours, Anchor: eventstore.Anchor{Position: 4}}, "the checkpoint is at position 4"},
		"another event stands there":         {subscription.Checkpoint{Source: ours, Anchor: anchor}, "the log has position 2"},
		"position 0 of another life":         {subscription.Checkpoint{Source: next}, "incarnation 2"},
		"it is of another store":             {subscription.Checkpoint{Source: other, Anchor: anchor}, other.Store.String()},
		"it is of another store, position 0": {subscription.Checkpoint{Source: other}, other.Store.String()},
		"it has lost its source":             {subscription.Checkpoint{Anchor: anchor}, "the checkpoint is of store 00000000"},
	} {
		t.Run(name, func(t *testing.T) {
			to := &target{at: c.at}
			err := catchUp(t.Context(), store, eventstore.Query{}, to, 0)
			require.ErrorIs(t, err, eventstore.ErrDiverged)
			assert.ErrorContains(t, err, c.says)
			assert.ErrorContains(t, err, "test: ")
			assert.Equal(t, 0, to.calls, "a window was handed to the target")
			assert.Equal(t, c.at, to.at)
		})
	}
}

func TestANewLifeOfTheStoreWithTheSameEventsIsAdopted(t *testing.T) {
	store, to := filled(t, 3), &target{}
	require.NoError(t, catchUp(t.Context(), store, eventstore.Query{}, to, 0))
	as := identityOf(t, store)
	as.Incarnation++
	promoted := log{LogReader: store, as: &as}

	require.NoError(t, catchUp(t.Context(), promoted, eventstore.Query{}, to, 0))
	assert.Equal(t, as, to.at.Source, "a token of the new life can be compared at once, without a new event")
	assert.Equal(t, upTo(3), to.applied())

	appendTo(t, store, "some")
	require.NoError(t, catchUp(t.Context(), promoted, eventstore.Query{}, to, 0))
	assert.Equal(t, upTo(4), to.applied())
}

func TestATargetThatDoesNotFollowTheStoreStopsAtOnce(t *testing.T) {
	refusal := fmt.Errorf("orders@1: %w", eventstore.ErrForeignToken)
	to := refusing{err: refusal}
	require.ErrorIs(t, catchUp(t.Context(), filled(t, 1), eventstore.Query{}, &to, 0), eventstore.ErrForeignToken)
	assert.Equal(t, 1, to.asked)
}

// refusing answers every question for its checkpoint with an error.
type refusing struct {
	err   error
	asked int
}

func (r *refusing) Checkpoint(context.Context, eventstore.StoreID) (subscription.Checkpoint, error) {
	r.asked++
	return subscription.Checkpoint{}, r.err
}

func (r *refusing) Apply(context.Context, subscription.Window) error { return r.err }
