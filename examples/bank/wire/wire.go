// Package wire moves money between accounts of two branches of the bank. Each branch has a store of
// its own, so there is no append that could hold both sides: a saga sees to it that there are both in
// the end, or neither.
package wire

import (
	"errors"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/bank/account"
	"github.com/leftfold/leftfold/saga"
)

// Party is an account at a branch.
type Party struct{ Branch, Account string }

func (p Party) String() string { return p.Branch + "/" + p.Account }

// Order says what is to be moved.
type Order struct {
	From, To Party
	Cents    int64
	Currency string
}

// Ordered is the event that a wire begins with.
type Ordered struct{ Order }

// Orders are the streams "order-<id>"; the id is that of the wire too.
var Orders = aggregate.Define("order", func(e Ordered, o *Order) { *o = e.Order }, codec.Event[Ordered]("wire.ordered"))

// Place orders a wire, once.
func Place(o Order) aggregate.Decision[Order, Ordered] {
	return func(before Order) ([]Ordered, error) {
		switch {
		case before.Cents > 0:
			return nil, nil
		case o.Cents <= 0:
			return nil, account.ErrAmount
		case o.From == o.To:
			return nil, errors.New("a wire is for another account")
		}
		return []Ordered{{o}}, nil
	}
}

// Wire is what the saga knows of an instance.
type Wire struct {
	ID string
	Order
}

// Wires is the saga: the money leaves one branch, the other one agrees, and it arrives there. If the
// other one says no, or nothing for two days, or cannot book it, the money goes back.
var Wires = saga.Define("wire", saga.Definition[Wire]{
	Events: []*codec.Set{Orders.Events(), Approvals.Events()},
	On: []saga.Rule[Wire]{
		saga.Begin(func(_ Ordered, m eventstore.Recorded) string { return m.Stream.ID() },
			func(w *Wire, e Ordered, m eventstore.Recorded) { *w = Wire{m.Stream.ID(), e.Order} }),
		saga.On[Wire](func(_ Approved, m eventstore.Recorded) string { return m.Stream.ID() }, nil),
		saga.On[Wire](func(_ Declined, m eventstore.Recorded) string { return m.Stream.ID() }, nil),
	},
	Steps: []saga.Step[Wire]{
		{
			Name: "send",
			Do:   saga.Send("account.send", func(w Wire) Send { return Send(w.booking(w.From, w.To)) }),
			Undo: saga.Send("account.receive", func(w Wire) Receive { return Receive(w.booking(w.From, w.To)) }),
		},
		{
			Name:    "approve",
			Do:      saga.Send("approval.ask", func(w Wire) Ask { return Ask{w.To.Branch, w.ID, w.Order} }),
			Done:    []saga.Match{saga.By[Approved]()},
			Failed:  []saga.Match{saga.By[Declined]()},
			Timeout: 48 * time.Hour,
		},
		{
			Name: "receive",
			Do:   saga.Send("account.receive", func(w Wire) Receive { return Receive(w.booking(w.To, w.From)) }),
		},
	},
})

func (o Order) booking(at, other Party) Booking {
	return Booking{at.Branch, at.Account, other.String(), o.Cents, o.Currency}
}
