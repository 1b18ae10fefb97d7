package aggregate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

func TestAnAggregateWithoutEventsHasTheZeroState(t *testing.T) {
	account, version, err := aggregate.NewRepository(memory.NewStore(), Accounts).Load(t.Context(), "1")
	require.NoError(t, err)
	assert.Zero(t, account)
	assert.Zero(t, version)
}

func TestLoadAtGivesEveryPastState(t *testing.T) {
	_, accounts := newBank(t) // version 1: a deposit of 100
	for range 3 {
		_, err := accounts.Execute(t.Context(), "1", Deposit(1))
		require.NoError(t, err)
	}
	for version, want := range map[eventstore.Version]int64{0: 0, 1: 100, 2: 101, 4: 103} {
		account, err := accounts.LoadAt(t.Context(), "1", version)
		require.NoError(t, err)
		assert.Equal(t, want, account.Balance, "at version %d", version)
	}
	account, err := accounts.LoadAt(t.Context(), "1", 5)
	require.EqualError(t, err, "load account-1 at version 5: it is at version 4")
	assert.Zero(t, account)
	e, typed := errors.AsType[*aggregate.VersionNotReachedError](err)
	require.True(t, typed)
	assert.Equal(t, eventstore.Version(4), e.Actual)

	_, err = accounts.LoadAt(t.Context(), "1", -1)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestLoadAsOfStopsAtTheFirstLaterEvent(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	clock := noon
	store := memory.NewStoreWith(memory.StoreOptions{Now: func() time.Time { return clock }})
	accounts := aggregate.NewRepository(store, Accounts)
	// The clock goes back after the third event.
	for _, minute := range []int{0, 1, 3, 2} {
		clock = noon.Add(time.Duration(minute) * time.Minute)
		_, err := accounts.Execute(t.Context(), "1", Deposit(1))
		require.NoError(t, err)
	}
	for minute, want := range map[int]eventstore.Version{-1: 0, 0: 1, 1: 2, 2: 2, 3: 4} {
		account, version, err := accounts.LoadAsOf(t.Context(), "1", noon.Add(time.Duration(minute)*time.Minute))
		require.NoError(t, err)
		assert.Equal(t, want, version, "as of minute %d", minute)
		assert.Equal(t, int64(want), account.Balance)
	}
}
