package command_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

func TestACommandIsRefusedIfTheVersionIsNotTheExpectedOne(t *testing.T) {
	store := memory.NewStore()
	bus := transfers(store, nil)
	_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.Expect(0))
	require.NoError(t, err, "0: nothing has happened yet")

	_, err = bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.Expect(0))
	conflict := &eventstore.VersionConflictError{Stream: "account-ada", Expected: eventstore.Exactly(0), Actual: 1}
	var got *eventstore.VersionConflictError
	require.ErrorAs(t, err, &got)
	assert.Equal(t, conflict, got)
	assert.Equal(t, [2]int64{-30, 30}, balances(t, store))

	_, err = bus.Dispatch(t.Context(), Transfer{"ada", "eve", 1}, command.Expect(1))
	require.NoError(t, err, "the version is that of the first aggregate; eve has none")
}

// A repeat of a command that has moved the aggregate itself is no conflict.
func TestARepeatKeepsItsExpectedVersion(t *testing.T) {
	store := memory.NewStore()
	bus := transfers(store, nil)
	for n := range 2 {
		receipt, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"), command.Expect(0))
		require.NoError(t, err)
		assert.Equal(t, n == 1, receipt.Repeated)
	}
	assert.Equal(t, [2]int64{-30, 30}, balances(t, store))
}

func TestARetriedCommandExpectsTheVersionAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewStore()
		bus := transfers(store, []error{nil, eventstore.ErrStoreBusy}, command.Retry(3))
		_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"), command.Expect(0))
		require.NoError(t, err)

		bus = transfers(store, []error{eventstore.ErrStoreBusy}, command.Retry(3))
		_, err = bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("2"), command.Expect(0))
		require.ErrorIs(t, err, eventstore.ErrVersionConflict, "the second try expects it too")
		assert.Equal(t, [2]int64{-30, 30}, balances(t, store))
	})
}

func TestAnExpectedVersionThatNobodyChecksIsAnError(t *testing.T) {
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	for what, handle := range map[string]func(ctx context.Context, cmd Pay) (eventstore.Receipt, error){
		"no decision is made": func(context.Context, Pay) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil },
		"the handler drops its context": func(_ context.Context, c Pay) (eventstore.Receipt, error) {
			return accounts.Execute(t.Context(), c.To, book(1))
		},
		"the handler expects its own version": func(ctx context.Context, c Pay) (eventstore.Receipt, error) {
			_, version, err := accounts.Load(ctx, c.To)
			require.NoError(t, err)
			return accounts.Execute(ctx, c.To, book(1), aggregate.ExpectVersion(version))
		},
	} {
		bus := command.NewBus()
		command.Handle(bus, "pay", handle)
		_, err := bus.Dispatch(t.Context(), Pay{To: "ada"}, command.Expect(99))
		require.ErrorContains(t, err, "version 99 was expected, and the handler did not check it", what)
	}

	both := command.NewBus()
	command.Handle(both, "pay", func(ctx context.Context, c Pay) (eventstore.Receipt, error) {
		return aggregate.ExecuteAll(ctx, store, []aggregate.Plan{accounts.Plan("x", book(-1)), accounts.Plan("y", book(1))})
	})
	_, err := both.Dispatch(t.Context(), Pay{}, command.Expect(0))
	require.ErrorIs(t, err, eventstore.ErrInvalid, "whose version it is, is not said")
	require.ErrorContains(t, err, "it is for one aggregate, there are several")
}

// A command with an id of its own is another command: what the caller of the first expects is no
// business of it. It once took the expectation, and when it was tried again, there was none left.
func TestAnotherCommandOfTheHandlerLeavesTheExpectedVersionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewStore()
		bus := transfers(store, []error{nil, nil, eventstore.ErrStoreBusy}, command.Retry(3))
		_, err := bus.Dispatch(t.Context(), Transfer{"bob", "ada", 5}) // both are at version 1
		require.NoError(t, err)

		accounts := aggregate.NewRepository(store, Accounts)
		command.Handle(bus, "pay", func(ctx context.Context, c Pay) (eventstore.Receipt, error) {
			if receipt, err := bus.Dispatch(ctx, Transfer{"eve", "bank", 1}, command.ID("fee")); err != nil {
				return receipt, err
			}
			return accounts.Execute(ctx, c.To, book(1))
		})
		_, err = bus.Dispatch(t.Context(), Pay{To: "ada"}, command.Expect(7))
		var conflict *eventstore.VersionConflictError
		require.ErrorAs(t, err, &conflict)
		assert.EqualValues(t, "account-ada", conflict.Stream)
		_, err = bus.Dispatch(t.Context(), Pay{To: "ada"}, command.Expect(1))
		require.NoError(t, err)
		assert.Equal(t, [2]int64{6, -5}, balances(t, store))
	})
}
