package aggregate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// The aggregate that the tests of this package work on.

type Account struct {
	Owner   string
	Balance int64
}

type Event interface{ apply(a *Account) }

type (
	Opened    struct{ Owner string }
	Deposited struct{ Cents int64 }
	Withdrawn struct{ Cents int64 }
)

func (e Opened) apply(a *Account)    { a.Owner = e.Owner }
func (e Deposited) apply(a *Account) { a.Balance += e.Cents }
func (e Withdrawn) apply(a *Account) { a.Balance -= e.Cents }

var Accounts = aggregate.Define("account", Event.apply,
	codec.Event[Opened]("account.opened"),
	codec.Event[Deposited]("account.deposited"),
	codec.Event[Withdrawn]("account.withdrawn"))

var ErrInsufficient = errors.New("insufficient funds")

func Open(owner string) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if a.Owner != "" {
			return nil, nil
		}
		return []Event{Opened{owner}}, nil
	}
}

func Deposit(cents int64) aggregate.Decision[Account, Event] {
	return func(Account) ([]Event, error) { return []Event{Deposited{cents}}, nil }
}

func Withdraw(cents int64) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if a.Balance < cents {
			return nil, ErrInsufficient
		}
		return []Event{Withdrawn{cents}}, nil
	}
}

// nothing is the decision that nothing needs to happen.
func nothing(Account) ([]Event, error) { return nil, nil }

// newBank returns a store in which account-1 holds 100 and account-2 nothing.
func newBank(t testing.TB) (*memory.Store, *aggregate.Repository[Account, Event]) {
	t.Helper()
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	for id, decide := range map[string]aggregate.Decision[Account, Event]{"1": Deposit(100), "2": Open("Bob")} {
		_, err := accounts.Execute(t.Context(), id, decide)
		require.NoError(t, err)
	}
	return store, accounts
}

func balance(t testing.TB, store aggregate.Store, id string) int64 {
	t.Helper()
	account, _, err := aggregate.NewRepository(store, Accounts).Load(t.Context(), id)
	require.NoError(t, err)
	return account.Balance
}

// moved makes the decision, and has another writer deposit 1 before the first of its
// results can be appended, so that it meets a conflict.
func moved(t testing.TB, store aggregate.Store, id string, times int, decide aggregate.Decision[Account, Event]) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if times > 0 {
			times--
			_, err := aggregate.NewRepository(store, Accounts).Execute(t.Context(), id, Deposit(1))
			require.NoError(t, err)
		}
		return decide(a)
	}
}

// hooked is a store whose appends and lookups go through functions of the test.
type hooked struct {
	eventstore.Store
	append func(next eventstore.Appender, ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error)
	lookup func(next eventstore.Appender, ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error)
}

func (h hooked) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	if h.append == nil {
		return h.Store.Append(ctx, r)
	}
	return h.append(h.Store, ctx, r)
}

func (h hooked) LookupCommand(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error) {
	if h.lookup == nil {
		return h.Store.LookupCommand(ctx, c)
	}
	return h.lookup(h.Store, ctx, c)
}

// answers is an append hook: the n-th append gives the n-th answer, the rest succeed.
// taken says whether the store takes the append all the same.
type answer struct {
	err   error
	taken bool
}

func answers(list ...answer) func(eventstore.Appender, context.Context, eventstore.AppendRequest) (eventstore.Receipt, error) {
	return func(next eventstore.Appender, ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
		if len(list) == 0 {
			return next.Append(ctx, r)
		}
		a := list[0]
		list = list[1:]
		if a.taken {
			if _, err := next.Append(ctx, r); err != nil {
				return eventstore.Receipt{}, err
			}
		}
		return eventstore.Receipt{}, a.err
	}
}
