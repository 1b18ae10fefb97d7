// Package account is what a bank account may do: be opened, take money in and give it out, and
// transfer it to another account.
package account

import (
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Account is the state of an account.
type Account struct {
	Owner    string
	Currency string
	Cents    int64
}

// Event is something that happened to an account.
type Event interface{ apply(*Account) }

// The events as they are written today; history.go has their past.
type (
	Opened struct {
		Owner    string `json:"owner"`
		Currency string `json:"currency"`
	}
	Deposited struct {
		Cents int64  `json:"cents"`
		Note  string `json:"note,omitempty"`
	}
	Withdrawn struct {
		Cents int64  `json:"cents"`
		Note  string `json:"note,omitempty"`
	}
	// Sent and Received are the two sides of a transfer, in one append.
	Sent struct {
		To    string `json:"to"`
		Cents int64  `json:"cents"`
	}
	Received struct {
		From  string `json:"from"`
		Cents int64  `json:"cents"`
	}
)

func (e Opened) apply(a *Account)    { a.Owner, a.Currency = e.Owner, e.Currency }
func (e Deposited) apply(a *Account) { a.Cents += e.Cents }
func (e Withdrawn) apply(a *Account) { a.Cents -= e.Cents }
func (e Sent) apply(a *Account)      { a.Cents -= e.Cents }
func (e Received) apply(a *Account)  { a.Cents += e.Cents }

// Accounts are the streams "account-<id>".
var Accounts = aggregate.Define("account", Event.apply,
	openedEvent,
	codec.Event[Deposited]("account.deposited"),
	codec.Event[Withdrawn]("account.withdrawn"),
	codec.Event[Sent]("account.sent"),
	codec.Event[Received]("account.received"),
	bookedEvent,
	viewedEvent).FoldVersion(1) // raised when apply changes: snapshots are of an older fold then

// Refusals.
var (
	ErrUnknown      = errors.New("there is no such account")
	ErrInsufficient = errors.New("insufficient funds")
	ErrAmount       = errors.New("an amount is more than nothing")
	ErrCurrency     = errors.New("the account has another currency")
)

// Open opens an account, if it is not open.
func Open(owner, currency string) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if a.Owner != "" {
			return nil, nil
		}
		return []Event{Opened{owner, currency}}, nil
	}
}

// Deposit takes money in.
func Deposit(cents int64, note string) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if err := a.check(cents); err != nil {
			return nil, err
		}
		return []Event{Deposited{cents, note}}, nil
	}
}

// Withdraw gives money out, as long as there is some.
func Withdraw(cents int64, note string) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if err := a.check(cents); err != nil {
			return nil, err
		}
		if a.Cents < cents {
			return nil, fmt.Errorf("%w: %s has %s", ErrInsufficient, a.Owner, Money(a.Cents, a.Currency))
		}
		return []Event{Withdrawn{cents, note}}, nil
	}
}

func (a Account) check(cents int64) error {
	if a.Owner == "" {
		return ErrUnknown
	}
	if cents <= 0 {
		return ErrAmount
	}
	return nil
}

// Money writes an amount for people.
func Money(cents int64, currency string) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d %s", sign, cents/100, cents%100, currency)
}
