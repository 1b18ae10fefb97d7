package command_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// A command over two aggregates, each appended by itself.

type Booked struct{ Cents int64 }

var Accounts = aggregate.Define("account",
	func(e Booked, balance *int64) { *balance += e.Cents },
	codec.Event[Booked]("account.booked"))

type Transfer struct {
	From, To string
	Cents    int64
}

func book(cents int64) aggregate.Decision[int64, Booked] {
	return func(int64) ([]Booked, error) { return []Booked{{cents}}, nil }
}

// failing is a store whose n-th append fails with errs[n] instead, if that is not nil.
type failing struct {
	eventstore.Store
	errs *[]error
}

func (f failing) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	if len(*f.errs) > 0 {
		err := (*f.errs)[0]
		*f.errs = (*f.errs)[1:]
		if err != nil {
			return eventstore.Receipt{}, err
		}
	}
	return f.Store.Append(ctx, r)
}

// transfers handles Transfer with two appends; the appends fail as told.
func transfers(store eventstore.Store, fails []error, middleware ...command.Middleware) *command.Bus {
	accounts := aggregate.NewRepository(failing{store, &fails}, Accounts)
	bus := command.NewBus(middleware...)
	command.Handle(bus, "transfer", func(ctx context.Context, c Transfer) (eventstore.Receipt, error) {
		if receipt, err := accounts.Execute(ctx, c.From, book(-c.Cents)); err != nil {
			return receipt, err
		}
		return accounts.Execute(ctx, c.To, book(c.Cents))
	})
	return bus
}

func balances(t testing.TB, store eventstore.Store) [2]int64 {
	accounts := aggregate.NewRepository(store, Accounts)
	ada, _, err := accounts.Load(t.Context(), "ada")
	require.NoError(t, err)
	bob, _, err := accounts.Load(t.Context(), "bob")
	require.NoError(t, err)
	return [2]int64{ada, bob}
}

// A promise of the package: killed between its two appends and repeated, it ends with
// exactly both.
func TestACommandKilledBetweenItsAppendsEndsWithBoth(t *testing.T) {
	killed := errors.New("killed")
	store := memory.NewStore()
	cmd := Transfer{"ada", "bob", 30}

	_, err := transfers(store, []error{nil, killed}).Dispatch(t.Context(), cmd, command.ID("1"))
	require.ErrorIs(t, err, killed)
	require.Equal(t, [2]int64{-30, 0}, balances(t, store))

	for n := range 2 {
		receipt, err := transfers(store, nil).Dispatch(t.Context(), cmd, command.ID("1"))
		require.NoError(t, err)
		assert.Equal(t, n == 1, receipt.Repeated)
		require.Equal(t, [2]int64{-30, 30}, balances(t, store))
	}
}

// To one account twice: from and to are the same stream, and each append counts.
func TestTwoAppendsToOneAggregateAreTwo(t *testing.T) {
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	for range 3 {
		_, err := transfers(store, nil).Dispatch(t.Context(), Transfer{"ada", "ada", 30}, command.ID("1"))
		require.NoError(t, err)
	}
	_, version, err := accounts.Load(t.Context(), "ada")
	require.NoError(t, err)
	assert.EqualValues(t, 2, version)
}

// The second append finds the store busy, so the middleware handles the command again.
func TestARetriedCommandTakesEffectOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewStore()
		bus := transfers(store, []error{nil, eventstore.ErrStoreBusy}, command.Retry(3))
		_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"))
		require.NoError(t, err)
		assert.Equal(t, [2]int64{-30, 30}, balances(t, store))
	})
}

// The twin handles a busy store inside one scope, so the retry counts on.
func TestPlantedBugARetryInTheSameScopeIsFound(t *testing.T) {
	store := memory.NewStore()
	fails := []error{nil, eventstore.ErrStoreBusy}
	accounts := aggregate.NewRepository(failing{store, &fails}, Accounts)
	handle := func(ctx context.Context) error {
		if _, err := accounts.Execute(ctx, "ada", book(-30)); err != nil {
			return err
		}
		_, err := accounts.Execute(ctx, "bob", book(30))
		return err
	}
	ctx := eventstore.WithCommand(t.Context(), "", "1", eventstore.CommandHash{})
	require.ErrorIs(t, handle(ctx), eventstore.ErrStoreBusy)
	require.NoError(t, handle(ctx))
	assert.Equal(t, [2]int64{-60, 30}, balances(t, store), "the bug that inScope prevents")
}

func TestAnotherCommandUnderTheSameIDIsAMismatch(t *testing.T) {
	store := memory.NewStore()
	bus := transfers(store, nil)
	_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"))
	require.NoError(t, err)
	_, err = bus.Dispatch(t.Context(), Transfer{"ada", "bob", 31}, command.ID("1"))
	require.ErrorIs(t, err, eventstore.ErrIdempotencyMismatch)
	_, err = bus.Dispatch(t.Context(), Transfer{"ada", "bob", 31}, command.ID("1"), command.Principal("eve"))
	require.NoError(t, err, "another principal's id is another id")
	assert.Equal(t, [2]int64{-61, 61}, balances(t, store))
}

// A command that another command's handler dispatches is part of it.
func TestANestedCommandIsRepeatedWithTheOuterOne(t *testing.T) {
	store := memory.NewStore()
	bus := transfers(store, nil, command.Retry(3))
	type Salary struct{ To string }
	command.Handle(bus, "salary", func(ctx context.Context, c Salary) (eventstore.Receipt, error) {
		return bus.Dispatch(ctx, Transfer{"ada", c.To, 30})
	})
	for range 2 {
		_, err := bus.Dispatch(t.Context(), Salary{"bob"}, command.ID("may"))
		require.NoError(t, err)
	}
	assert.Equal(t, [2]int64{-30, 30}, balances(t, store))
}

// Reordering a struct's fields is no new command; another value is.
func TestTheOrderOfFieldsDoesNotMakeAnotherCommand(t *testing.T) {
	type reordered struct {
		Cents    int64
		To, From string
	}
	store := memory.NewStore()
	_, err := transfers(store, nil).Dispatch(t.Context(), Transfer{"ada", "bob", 1<<62 + 1}, command.ID("1"))
	require.NoError(t, err)

	dispatch := func(cents int64) error {
		accounts := aggregate.NewRepository(store, Accounts)
		bus := command.NewBus()
		command.Handle(bus, "transfer", func(ctx context.Context, c reordered) (eventstore.Receipt, error) {
			return accounts.Execute(ctx, c.From, book(-c.Cents))
		})
		_, err := bus.Dispatch(t.Context(), reordered{cents, "bob", "ada"}, command.ID("1"))
		return err
	}
	require.NoError(t, dispatch(1<<62+1))
	require.ErrorIs(t, dispatch(1<<62), eventstore.ErrIdempotencyMismatch, "digits that a float64 would lose")
}
