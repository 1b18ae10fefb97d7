package saga_test

import (
	"context"
	"errors"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

// A transfer between two accounts, which may be in two stores: it takes the money from one and
// gives it to the other, or gives it back.

type account struct{ Balance int64 }

type accountEvent interface{ apply(*account) }

type (
	deposited struct {
		Cents    int64
		Transfer string
	}
	withdrawn struct {
		Cents    int64
		Transfer string
	}
	closed struct{}
)

func (e deposited) apply(a *account) { a.Balance += e.Cents }
func (e withdrawn) apply(a *account) { a.Balance -= e.Cents }
func (closed) apply(a *account)      { a.Balance = -1 << 40 }

var accounts = aggregate.Define("account", accountEvent.apply,
	codec.Event[deposited]("account.deposited"), codec.Event[withdrawn]("account.withdrawn"), codec.Event[closed]("account.closed"))

type (
	withdraw struct {
		Account  string
		Cents    int64
		Transfer string
	}
	deposit struct {
		Account  string
		Cents    int64
		Transfer string
	}
)

var (
	errInsufficient = errors.New("insufficient funds")
	errClosed       = errors.New("the account is closed")
)

// newBank returns a bus that handles the commands on accounts in a store.
func newBank(store aggregate.Store) *command.Bus {
	bus, repository := command.NewBus(), aggregate.NewRepository(store, accounts).WithOptions(aggregate.Options{MaxAttempts: 100})
	command.Handle(bus, "account.withdraw", func(ctx context.Context, c withdraw) (eventstore.Receipt, error) {
		return repository.Execute(ctx, c.Account, func(a account) ([]accountEvent, error) {
			if a.Balance < c.Cents {
				return nil, errInsufficient
			}
			return []accountEvent{withdrawn{c.Cents, c.Transfer}}, nil
		})
	})
	command.Handle(bus, "account.deposit", func(ctx context.Context, c deposit) (eventstore.Receipt, error) {
		return repository.Execute(ctx, c.Account, func(a account) ([]accountEvent, error) {
			if a.Balance < 0 {
				return nil, errClosed
			}
			return []accountEvent{deposited{c.Cents, c.Transfer}}, nil
		})
	})
	return bus
}

type requested struct {
	ID, From, To string
	Cents        int64
}

type orders struct{}

type orderEvent interface{ order() }

func (requested) order() {}

var transferOrders = aggregate.Define("transferorder", func(orderEvent, *orders) {}, codec.Event[requested]("transfer.requested"))

type transfer struct {
	From, To string
	Cents    int64
}

// transfers waits for the event of the withdrawal, and of the deposit only for the command.
var transfers = saga.Define("transfer", saga.Definition[transfer]{
	Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
	On: []saga.Rule[transfer]{
		saga.Begin(func(e requested, _ eventstore.Recorded) string { return e.ID },
			func(t *transfer, e requested, _ eventstore.Recorded) {
				*t = transfer{e.From, e.To, e.Cents}
			}),
		saga.On(func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, func(*transfer, withdrawn, eventstore.Recorded) {}),
	},
	Steps: []saga.Step[transfer]{
		{
			Name:    "withdraw",
			Do:      saga.Send("account.withdraw", func(t transfer) withdraw { return withdraw{t.From, t.Cents, ""} }),
			Timeout: time.Hour,
			Undo:    saga.Send("account.deposit", func(t transfer) deposit { return deposit{t.From, t.Cents, ""} }),
		},
		{
			Name: "deposit",
			Do:   saga.Send("account.deposit", func(t transfer) deposit { return deposit{t.To, t.Cents, ""} }),
		},
	},
	Retry: saga.Retry{First: 10 * time.Millisecond, Most: 50 * time.Millisecond, Attempts: 4},
})

// patient waits an hour for somebody to withdraw the money.
var patient = saga.Define("patient", saga.Definition[transfer]{
	Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
	On: []saga.Rule[transfer]{
		saga.Begin[transfer](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil),
		saga.On[transfer](func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, nil),
	},
	Steps: []saga.Step[transfer]{{Name: "wait", Done: []saga.Match{saga.By[withdrawn]()}, Timeout: time.Hour}},
})
