package aggregate_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

func TestExecuteAppendsWhatWasDecided(t *testing.T) {
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)

	receipt, err := accounts.Execute(t.Context(), "1", Deposit(5), aggregate.Metadata(eventstore.Metadata{"actor": "ada"}))
	require.NoError(t, err)
	assert.Equal(t, map[eventstore.StreamID]eventstore.Version{"account-1": 1}, receipt.Versions)
	assert.Equal(t, eventstore.Position(1), receipt.Token.Position)

	for recorded, err := range store.ReadStream(t.Context(), "account-1", eventstore.StreamRange{}) {
		require.NoError(t, err)
		assert.Equal(t, "account.deposited", recorded.Type)
		assert.JSONEq(t, `{"actor":"ada"}`, string(recorded.Metadata))
	}
}

func TestARefusalAppendsNothing(t *testing.T) {
	store, accounts := newBank(t)
	before, _ := store.Head(t.Context())

	_, err := accounts.Execute(t.Context(), "1", Withdraw(101))
	require.ErrorIs(t, err, ErrInsufficient)
	require.EqualError(t, err, "execute account-1: insufficient funds")
	after, _ := store.Head(t.Context())
	assert.Equal(t, before, after)
}

func TestADecisionIsMadeAgainOnTheNewState(t *testing.T) {
	store, accounts := newBank(t)
	_, err := accounts.Execute(t.Context(), "1", moved(t, store, "1", 3, Withdraw(100)))
	require.NoError(t, err)
	assert.Equal(t, int64(3), balance(t, store, "1"), "what the other writer has deposited meanwhile")
}

func TestDecidingAgainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, accounts := newBank(t)
		start := time.Now()
		_, err := accounts.WithOptions(aggregate.Options{MaxAttempts: 3}).
			Execute(t.Context(), "1", moved(t, store, "1", 100, Deposit(5)))
		require.ErrorIs(t, err, eventstore.ErrVersionConflict)
		require.ErrorContains(t, err, "execute account-1: gave up after 3 attempts: version conflict on account-1")
		assert.Equal(t, int64(103), balance(t, store, "1"), "three deposits of the other writer, none of ours")
		assert.Less(t, time.Since(start), 6*time.Millisecond, "pauses of at most 2 and 4 ms")
	})
}

func TestTheMostPatientPlanSaysHowOftenAllAreDecided(t *testing.T) {
	for name, c := range map[string]struct {
		first, second int // attempts of the repositories
		made          int // and of both together
	}{
		"the same":                     {3, 3, 3},
		"once, and more":               {1, 4, 4},
		"once, and so many by default": {1, 0, 10},
	} {
		t.Run(name, func(t *testing.T) {
			store, accounts := newBank(t)
			_, err := aggregate.ExecuteAll(t.Context(), store, []aggregate.Plan{
				accounts.WithOptions(aggregate.Options{MaxAttempts: c.first}).Plan("1", moved(t, store, "1", 100, Deposit(5))),
				accounts.WithOptions(aggregate.Options{MaxAttempts: c.second}).Plan("2", Deposit(5)),
			})
			require.ErrorIs(t, err, eventstore.ErrVersionConflict)
			assert.Equal(t, int64(c.made), balance(t, store, "1")-100, "each time the other writer deposits")
		})
	}
}

func TestNoRetryReturnsTheFirstConflict(t *testing.T) {
	store, accounts := newBank(t)
	_, err := accounts.Execute(t.Context(), "1", moved(t, store, "1", 1, Deposit(5)), aggregate.NoRetry())
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)
	assert.Equal(t, int64(101), balance(t, store, "1"))
}

func TestDecidingAgainStopsWithTheContext(t *testing.T) {
	store, accounts := newBank(t)
	ctx, cancel := context.WithCancel(t.Context())
	conflict := hooked{Store: store, append: func(next eventstore.Appender, _ context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
		cancel()
		return eventstore.Receipt{}, &eventstore.VersionConflictError{Stream: "account-1"}
	}}
	_, err := accounts.With(conflict).Execute(ctx, "1", Deposit(5))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)
}

func TestExpectVersionRefusesAnotherVersion(t *testing.T) {
	store, accounts := newBank(t)
	_, err := accounts.Execute(t.Context(), "1", Deposit(5), aggregate.ExpectVersion(7))
	require.EqualError(t, err, "execute account-1: version conflict on account-1: expected version 7, it is at version 1")

	_, err = accounts.Execute(t.Context(), "1", Deposit(5), aggregate.ExpectVersion(1))
	require.NoError(t, err)
	_, err = accounts.Execute(t.Context(), "3", Deposit(5), aggregate.ExpectVersion(0))
	require.NoError(t, err, "version 0 is an aggregate without events")

	_, err = accounts.Execute(t.Context(), "1", moved(t, store, "1", 1, Deposit(5)), aggregate.ExpectVersion(2))
	require.ErrorIs(t, err, eventstore.ErrVersionConflict, "it moved after the check: still not decided again")
	assert.Equal(t, int64(106), balance(t, store, "1"))
}

func TestADecisionWithoutEventsAppendsNothing(t *testing.T) {
	store, accounts := newBank(t)
	head, _ := store.Head(t.Context())
	receipt, err := accounts.Execute(t.Context(), "1", nothing)
	require.NoError(t, err)
	assert.Equal(t, eventstore.Receipt{
		Token: head, Versions: map[eventstore.StreamID]eventstore.Version{"account-1": 1},
	}, receipt)
}

func TestAnEventThatCannotBeDecodedAbortsTheCommand(t *testing.T) {
	store, accounts := newBank(t)
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: "account-1", Events: []eventstore.EventData{{Type: "account.frozen"}},
	}}})
	require.NoError(t, err)

	_, err = accounts.Execute(t.Context(), "1", func(Account) ([]Event, error) {
		t.Error("decided on a state without one of its events")
		return nil, nil
	})
	require.ErrorIs(t, err, codec.ErrUnknownType)
	require.ErrorContains(t, err, `execute account-1: load account-1: event at position 3 of account-1 has type "account.frozen"`)

	account, version, err := accounts.Load(t.Context(), "1")
	require.ErrorIs(t, err, codec.ErrUnknownType)
	assert.Zero(t, account, "no half-folded state")
	assert.Zero(t, version)
}

func TestAnUnregisteredEventIsNotAppended(t *testing.T) {
	_, accounts := newBank(t)
	_, err := accounts.Execute(t.Context(), "1", func(Account) ([]Event, error) { return []Event{&Deposited{5}}, nil })
	require.ErrorContains(t, err, "execute account-1: encode event: got *aggregate_test.Deposited, a pointer")
	_, err = accounts.Execute(t.Context(), "1", func(Account) ([]Event, error) { return []Event{nil}, nil })
	require.ErrorContains(t, err, "it is nil")
}

func TestABadIDIsRefused(t *testing.T) {
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	_, err := accounts.Execute(t.Context(), "", nothing)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, _, err = accounts.Load(t.Context(), "a\nb")
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

// transfer is two plans, in the order asked for.
func transfer(accounts *aggregate.Repository[Account, Event], cents int64) []aggregate.Plan {
	return []aggregate.Plan{accounts.Plan("1", Withdraw(cents)), accounts.Plan("2", Deposit(cents))}
}

func TestExecuteAllAppendsAllOrNothing(t *testing.T) {
	store, accounts := newBank(t)
	receipt, err := aggregate.ExecuteAll(t.Context(), store, transfer(accounts, 30))
	require.NoError(t, err)
	assert.Equal(t, map[eventstore.StreamID]eventstore.Version{"account-1": 2, "account-2": 2}, receipt.Versions)
	assert.Equal(t, []int64{70, 30}, []int64{balance(t, store, "1"), balance(t, store, "2")})

	_, err = aggregate.ExecuteAll(t.Context(), store, transfer(accounts, 71))
	require.ErrorIs(t, err, ErrInsufficient)
	require.EqualError(t, err, "execute account-1, account-2: account-1: insufficient funds")
	assert.Equal(t, []int64{70, 30}, []int64{balance(t, store, "1"), balance(t, store, "2")})
}

func TestExecuteAllDecidesAllAgain(t *testing.T) {
	store, accounts := newBank(t)
	decided := 0
	_, err := aggregate.ExecuteAll(t.Context(), store, []aggregate.Plan{
		accounts.Plan("1", func(a Account) ([]Event, error) { decided++; return Withdraw(30)(a) }),
		accounts.Plan("2", moved(t, store, "2", 1, Deposit(30))),
	})
	require.NoError(t, err)
	assert.Equal(t, 2, decided, "account 2 had moved, so account 1 was decided again too")
	assert.Equal(t, []int64{70, 31}, []int64{balance(t, store, "1"), balance(t, store, "2")})
}

// A plan without events still guards what was decided on.
func TestExecuteAllChecksAggregatesThatStayAsTheyAre(t *testing.T) {
	store, accounts := newBank(t)
	seen := []int64{}
	_, err := aggregate.ExecuteAll(t.Context(), store, []aggregate.Plan{
		accounts.Plan("1", func(a Account) ([]Event, error) { seen = append(seen, a.Balance); return nil, nil }),
		accounts.Plan("2", moved(t, store, "1", 1, Deposit(30))),
	})
	require.NoError(t, err)
	assert.Equal(t, []int64{100, 101}, seen)
}

func TestExecuteAllRefusesPlansThatCannotWork(t *testing.T) {
	store, accounts := newBank(t)
	for want, call := range map[string]func() error{
		"there are none": func() error {
			_, err := aggregate.ExecuteAll(t.Context(), store, nil)
			return err
		},
		"two plans for one aggregate": func() error {
			_, err := aggregate.ExecuteAll(t.Context(), store, []aggregate.Plan{accounts.Plan("1", Deposit(1)), accounts.Plan("2", Deposit(1)), accounts.Plan("1", Deposit(2))})
			return err
		},
		"it is for one aggregate": func() error {
			_, err := aggregate.ExecuteAll(t.Context(), store, transfer(accounts, 1), aggregate.ExpectVersion(1))
			return err
		},
	} {
		err := call()
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
}

// Each way to append takes the metadata that ctx carries; those of the option hold against them.
func TestMetadataOfTheContextAreStored(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	ctx := eventstore.WithMetadata(t.Context(), eventstore.Metadata{"actor": "ada", "correlation_id": "request-1"})

	_, err := accounts.Execute(ctx, "1", Deposit(5))
	require.NoError(t, err)
	_, err = aggregate.ExecuteAll(ctx, store, []aggregate.Plan{accounts.Plan("2", Deposit(5)), accounts.Plan("3", Deposit(5))})
	require.NoError(t, err)
	_, err = aggregate.Decide(ctx, store, Accounts.Events(), eventstore.Types("account.opened"),
		func(*int, any, eventstore.Recorded) {},
		func(int) ([]aggregate.Write, error) {
			return []aggregate.Write{{Stream: "account-4", Events: []any{Opened{"ada"}}}}, nil
		}, aggregate.Metadata(eventstore.Metadata{"actor": "bob"}))
	require.NoError(t, err)
	_, err = store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-5", Events: []eventstore.EventData{{Type: "account.opened"}}}}})
	require.NoError(t, err)

	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	var all []string
	for event, err := range read.Events() {
		require.NoError(t, err)
		all = append(all, string(event.Metadata))
	}
	both := `{"actor":"ada","correlation_id":"request-1"}`
	assert.Equal(t, []string{both, both, both, `{"actor":"bob","correlation_id":"request-1"}`, ""}, all, "a plain append adds nothing")
}
