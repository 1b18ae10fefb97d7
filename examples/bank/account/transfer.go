package account

import (
	"context"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// Repository loads accounts and makes decisions about them.
type Repository = aggregate.Repository[Account, Event]

// Transfer moves money from one account to another. Each account decides about its side, and both
// sides are one append: the money is in one of the two accounts at any moment, and never in both or in
// neither. If one of them has moved meanwhile, both decide again.
func Transfer(ctx context.Context, store aggregate.Store, accounts *Repository, from, to string, cents int64, currency string, options ...aggregate.ExecuteOption) (eventstore.Receipt, error) {
	return aggregate.ExecuteAll(ctx, store, []aggregate.Plan{
		accounts.Plan(from, Send(to, cents, currency)),
		accounts.Plan(to, Receive(from, cents, currency)),
	}, options...)
}

// Send takes money out for another account, if there is enough of it in the currency.
func Send(to string, cents int64, currency string) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if err := a.allows(cents, currency); err != nil {
			return nil, err
		}
		if a.Cents < cents {
			return nil, ErrInsufficient
		}
		return []Event{Sent{to, cents}}, nil
	}
}

// Receive takes money in that another account has sent, or gets back what it has sent itself.
func Receive(from string, cents int64, currency string) aggregate.Decision[Account, Event] {
	return func(a Account) ([]Event, error) {
		if err := a.allows(cents, currency); err != nil {
			return nil, err
		}
		return []Event{Received{from, cents}}, nil
	}
}

func (a Account) allows(cents int64, currency string) error {
	if err := a.check(cents); err != nil {
		return err
	}
	if a.Currency != currency {
		return ErrCurrency
	}
	return nil
}
