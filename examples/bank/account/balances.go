package account

import (
	"context"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Balance is a row of the view: what an account holds now.
type Balance struct {
	ID       string `leftfold:"key"`
	Owner    string
	Currency string
	Cents    int64
}

// Balances has a row for each account. It names the events of today only, and is right from the
// bank's first day on.
var Balances = projection.NewView("balances", projection.ViewOptions{Version: 1},
	projection.When(func(b *Balance, e Opened, _ eventstore.Recorded) { b.Owner, b.Currency = e.Owner, e.Currency }),
	projection.When(func(b *Balance, e Deposited, _ eventstore.Recorded) { b.Cents += e.Cents }),
	projection.When(func(b *Balance, e Withdrawn, _ eventstore.Recorded) { b.Cents -= e.Cents }),
	projection.When(func(b *Balance, e Sent, _ eventstore.Recorded) { b.Cents -= e.Cents }),
	projection.When(func(b *Balance, e Received, _ eventstore.Recorded) { b.Cents += e.Cents }))

// GetBalances asks for all balances, by account.
type GetBalances struct{}

// Queries answers from the balances in the sink.
func Queries(sink projection.Sink) *query.Bus {
	balances := projection.NewReader(sink, Balances)
	bus := query.NewBus()
	query.Handle(bus, "get_balances", func(ctx context.Context, _ GetBalances) ([]Balance, error) {
		page, err := balances.List(ctx, projection.ListQuery{Limit: 100})
		return page.Rows, err
	}, query.Reads("balances"))
	return bus
}
