package sagatest_test

import (
	"errors"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

// Fulfilment of an order: stock and payment together, then the parcel.

type (
	Placed struct {
		Order string
		Cents int64
	}
	Paid struct {
		Order string
		OK    bool
	}
	Reserved struct{ Order string }
	SoldOut  struct{ Order string }
	Shipped  struct{ Order string }
)

type (
	Reserve struct{ Order string }
	Release struct{ Order string }
	Charge  struct {
		Order string
		Cents int64
	}
	Refund struct {
		Order string
		Cents int64
	}
	Ship struct{ Order string }
)

type Order struct {
	ID    string
	Cents int64
	Paid  bool
}

var errDeclined = errors.New("declined")

func must(set *codec.Set, err error) *codec.Set {
	if err != nil {
		panic(err)
	}
	return set
}

var events = must(codec.NewSet(
	codec.Event[Placed]("order.placed"), codec.Event[Paid]("payment.made"),
	codec.Event[Reserved]("stock.reserved"), codec.Event[SoldOut]("stock.sold_out"), codec.Event[Shipped]("parcel.shipped")))

var Fulfilment = saga.Define("fulfilment", saga.Definition[Order]{
	Events: []*codec.Set{events},
	On: []saga.Rule[Order]{
		saga.Begin(func(e Placed, _ eventstore.Recorded) string { return e.Order },
			func(o *Order, e Placed, _ eventstore.Recorded) { o.ID, o.Cents = e.Order, e.Cents }),
		saga.On(func(e Paid, _ eventstore.Recorded) string { return e.Order },
			func(o *Order, e Paid, _ eventstore.Recorded) { o.Paid = e.OK }),
		saga.On[Order](func(e Reserved, _ eventstore.Recorded) string { return e.Order }, nil),
		saga.On[Order](func(e SoldOut, _ eventstore.Recorded) string { return e.Order }, nil),
		saga.On[Order](func(e Shipped, _ eventstore.Recorded) string { return e.Order }, nil),
	},
	Steps: []saga.Step[Order]{
		{
			Name:    "stock",
			Do:      saga.Send("stock.reserve", func(o Order) Reserve { return Reserve{o.ID} }),
			Done:    []saga.Match{saga.By[Reserved]()},
			Failed:  []saga.Match{saga.By[SoldOut]()},
			Timeout: time.Hour,
			Undo:    saga.Send("stock.release", func(o Order) Release { return Release{o.ID} }),
		},
		{
			Name:     "payment",
			Do:       saga.Send("payment.charge", func(o Order) Charge { return Charge{o.ID, o.Cents} }),
			Done:     []saga.Match{saga.ByIf(func(e Paid) bool { return e.OK })},
			Failed:   []saga.Match{saga.ByIf(func(e Paid) bool { return !e.OK })},
			Timeout:  15 * time.Minute,
			Undo:     saga.Send("payment.refund", func(o Order) Refund { return Refund{o.ID, o.Cents} }),
			Together: true,
		},
		{
			Name:    "parcel",
			Do:      saga.Send("parcel.ship", func(o Order) Ship { return Ship{o.ID} }),
			Done:    []saga.Match{saga.By[Shipped]()},
			Timeout: 48 * time.Hour,
		},
	},
	Retry: saga.Retry{Attempts: 3},
})
