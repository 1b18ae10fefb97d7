package commandtest

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Every event carries the name of its command.

type account struct {
	balance int64
	version eventstore.Version
}

type accountEvent interface{ apply(*account) }

type (
	deposited struct {
		Command string
		Cents   int64
	}
	withdrawn struct {
		Command string
		Cents   int64
	}
)

func (e deposited) apply(a *account) { a.balance += e.Cents; a.version++ }
func (e withdrawn) apply(a *account) { a.balance -= e.Cents; a.version++ }

var accounts = aggregate.Define("account", accountEvent.apply,
	codec.Event[deposited]("deposited"),
	codec.Event[withdrawn]("withdrawn"))

type user struct{ email string }

type userEvent interface{ apply(*user) }

type (
	registered   struct{ Command, Email string }
	unregistered struct{ Command, Email string }
)

func (e registered) apply(u *user) { u.email = e.Email }
func (unregistered) apply(u *user) { u.email = "" }

const email eventstore.TagKey[string] = "email"

var users = aggregate.Define("user", userEvent.apply,
	codec.Event[registered]("registered", codec.Tags(func(e registered) []eventstore.Tag { return []eventstore.Tag{email.Claim(e.Email)} })),
	codec.Event[unregistered]("unregistered", codec.Tags(func(e unregistered) []eventstore.Tag { return []eventstore.Tag{email.Release(e.Email)} })))

// PoorError refuses a withdrawal.
type PoorError struct {
	Account         eventstore.StreamID
	Version         eventstore.Version
	Balance, Wanted int64
}

func (e *PoorError) Error() string {
	return fmt.Sprintf("%s has %d at version %d, wanted %d", e.Account, e.Balance, e.Version, e.Wanted)
}

// Kind is what a command does.
type Kind string

// The kinds. A transfer makes two appends, an exchange one append to both accounts.
const (
	Deposit    Kind = "deposit"
	Withdraw   Kind = "withdraw"
	Transfer   Kind = "transfer"
	Exchange   Kind = "exchange"
	Register   Kind = "register"
	Unregister Kind = "unregister"
	Look       Kind = "look" // decides that nothing needs to happen
)

// Command is one of a client's.
type Command struct {
	Principal, ID string `json:"-"`

	Kind     Kind
	From, To string // accounts; of a user, To is the id
	Cents    int64
	Email    string
}

// Name tells the command from all others.
func (c Command) Name() string { return c.Principal + "/" + c.ID }

// NewBus returns a bus that handles commands on the store. It keeps the states of some accounts in a
// cache, which are out of date whenever another bus was faster.
func NewBus(store eventstore.Store) *command.Bus {
	b := bank{
		store:    store,
		accounts: aggregate.NewRepository(store, accounts).WithOptions(aggregate.Options{MaxAttempts: 1000}).WithCache(aggregate.CacheOptions{States: 4}),
		users:    aggregate.NewRepository(store, users).WithOptions(aggregate.Options{MaxAttempts: 1000}),
	}
	bus := command.NewBus()
	command.Handle(bus, "do", func(ctx context.Context, c Command) (eventstore.Receipt, error) {
		info, _ := command.InfoFrom(ctx)
		c.Principal, c.ID = info.Principal, info.ID
		return b.do(ctx, c)
	})
	return bus
}

type bank struct {
	store    eventstore.Store
	accounts *aggregate.Repository[account, accountEvent]
	users    *aggregate.Repository[user, userEvent]
}

func (b bank) do(ctx context.Context, c Command) (eventstore.Receipt, error) {
	switch c.Kind {
	case Deposit:
		return b.accounts.Execute(ctx, c.To, c.deposit())
	case Withdraw:
		return b.accounts.Execute(ctx, c.From, c.withdraw())
	case Transfer:
		if receipt, err := b.accounts.Execute(ctx, c.From, c.withdraw()); err != nil {
			return receipt, err
		}
		return b.accounts.Execute(ctx, c.To, c.deposit())
	case Exchange:
		return aggregate.ExecuteAll(ctx, b.store, []aggregate.Plan{b.accounts.Plan(c.From, c.withdraw()), b.accounts.Plan(c.To, c.deposit())})
	case Register:
		return b.users.Execute(ctx, c.To, func(user) ([]userEvent, error) { return []userEvent{registered{c.Name(), c.Email}}, nil })
	case Unregister:
		return b.users.Execute(ctx, c.To, c.unregister())
	default:
		return b.accounts.Execute(ctx, c.To, func(account) ([]accountEvent, error) { return nil, nil })
	}
}

func (c Command) deposit() aggregate.Decision[account, accountEvent] {
	return func(account) ([]accountEvent, error) { return []accountEvent{deposited{c.Name(), c.Cents}}, nil }
}

func (c Command) withdraw() aggregate.Decision[account, accountEvent] {
	return func(a account) ([]accountEvent, error) {
		if a.balance < c.Cents {
			return nil, &PoorError{accounts.Stream(c.From), a.version, a.balance, c.Cents}
		}
		return []accountEvent{withdrawn{c.Name(), c.Cents}}, nil
	}
}

func (c Command) unregister() aggregate.Decision[user, userEvent] {
	return func(u user) ([]userEvent, error) {
		if u.email == "" {
			return nil, nil
		}
		return []userEvent{unregistered{c.Name(), u.email}}, nil
	}
}
