package saga_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

// Fulfilment of an order: the stock and the payment together, then the parcel and what the shop
// takes for it together. The money is moved by the bank of the transfers.

type item struct{ Units int64 }

type itemEvent interface{ apply(*item) }

type (
	stocked  struct{ Units int64 }
	reserved struct{ Order string }
	released struct{ Order string }
	soldOut  struct{ Order string }
)

func (e stocked) apply(i *item) { i.Units += e.Units }
func (reserved) apply(i *item)  { i.Units-- }
func (released) apply(i *item)  { i.Units++ }
func (soldOut) apply(*item)     {}

var items = aggregate.Define("item", itemEvent.apply,
	codec.Event[stocked]("stock.stocked"), codec.Event[reserved]("stock.reserved"),
	codec.Event[released]("stock.released"), codec.Event[soldOut]("stock.sold_out"))

// parcel counts how often the thing was given away, and whether it came back.
type parcel struct{ Out int64 }

type parcelEvent interface{ apply(*parcel) }

type (
	posted   struct{ Order string } // the carrier has it,
	shipped  struct{ Order string } // and says so in time
	recalled struct{ Order string }
)

func (posted) apply(p *parcel)   { p.Out++ }
func (shipped) apply(*parcel)    {}
func (recalled) apply(p *parcel) { p.Out-- }

var parcels = aggregate.Define("parcel", parcelEvent.apply,
	codec.Event[posted]("parcel.posted"), codec.Event[shipped]("parcel.shipped"), codec.Event[recalled]("parcel.recalled"))

type placed struct {
	ID, Customer, Item, Carrier string
	Cents                       int64
}

type shopOrders struct{}

var shopOrder = aggregate.Define("shoporder", func(placed, *shopOrders) {}, codec.Event[placed]("order.placed"))

type (
	reserve struct{ Order, Item string }
	release struct{ Order, Item string }
	ship    struct{ Order, Carrier string }
	recall  struct{ Order string }
)

const (
	late    = "late"    // a carrier that posts and never says so
	nowhere = "nowhere" // one that does not go there
	unknown = "unknown" // an item that there never was
)

var (
	errUnknownItem = errors.New("there is no such item")
	errNowhere     = errors.New("nobody goes there")
)

// addShop has the bus handle the commands on stock and parcels in a store.
func addShop(bus *command.Bus, store aggregate.Store) {
	stock := aggregate.NewRepository(store, items).WithOptions(aggregate.Options{MaxAttempts: 100})
	post := aggregate.NewRepository(store, parcels)
	command.Handle(bus, "stock.reserve", func(ctx context.Context, c reserve) (eventstore.Receipt, error) {
		return stock.Execute(ctx, c.Item, func(i item) ([]itemEvent, error) {
			switch {
			case strings.HasPrefix(c.Item, unknown):
				return nil, errUnknownItem
			case i.Units == 0:
				return []itemEvent{soldOut{c.Order}}, nil
			}
			return []itemEvent{reserved{c.Order}}, nil
		})
	})
	command.Handle(bus, "stock.release", func(ctx context.Context, c release) (eventstore.Receipt, error) {
		return stock.Execute(ctx, c.Item, func(item) ([]itemEvent, error) { return []itemEvent{released{c.Order}}, nil })
	})
	command.Handle(bus, "parcel.ship", func(ctx context.Context, c ship) (eventstore.Receipt, error) {
		return post.Execute(ctx, c.Order, func(parcel) ([]parcelEvent, error) {
			switch c.Carrier {
			case nowhere:
				return nil, errNowhere
			case late:
				return []parcelEvent{posted{c.Order}}, nil
			}
			return []parcelEvent{posted{c.Order}, shipped{c.Order}}, nil
		})
	})
	command.Handle(bus, "parcel.recall", func(ctx context.Context, c recall) (eventstore.Receipt, error) {
		return post.Execute(ctx, c.Order, func(parcel) ([]parcelEvent, error) { return []parcelEvent{recalled(c)}, nil })
	})
}

// fulfilment waits for a parcel as long as it is told to, and takes the orders that are its own.
// One that waits for long is never late, whatever happens to its workers; one that waits for a
// moment takes only those orders that are late in any case.
func fulfilment(name string, takes func(carrier string) bool, waits time.Duration) *saga.Type[placed] {
	return saga.Define(name, saga.Definition[placed]{
		Events: []*codec.Set{shopOrder.Events(), accounts.Events(), items.Events(), parcels.Events()},
		On: []saga.Rule[placed]{
			saga.Begin(func(e placed, _ eventstore.Recorded) string {
				if !takes(e.Carrier) {
					return ""
				}
				return e.ID
			}, func(o *placed, e placed, _ eventstore.Recorded) { *o = e }),
			saga.On[placed](func(e reserved, _ eventstore.Recorded) string { return e.Order }, nil),
			saga.On[placed](func(e soldOut, _ eventstore.Recorded) string { return e.Order }, nil),
			saga.On[placed](func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, nil),
			saga.On[placed](func(e shipped, _ eventstore.Recorded) string { return e.Order }, nil),
		},
		Steps: []saga.Step[placed]{
			{
				Name:    "stock",
				Do:      saga.Send("stock.reserve", func(o placed) reserve { return reserve{o.ID, o.Item} }),
				Done:    []saga.Match{saga.By[reserved]()},
				Failed:  []saga.Match{saga.By[soldOut]()},
				Timeout: time.Hour,
				Undo:    saga.Send("stock.release", func(o placed) release { return release{o.ID, o.Item} }),
			},
			{
				Name:     "payment",
				Do:       saga.Send("account.withdraw", func(o placed) withdraw { return withdraw{o.Customer, o.Cents, o.ID} }),
				Done:     []saga.Match{saga.By[withdrawn]()},
				Timeout:  time.Hour,
				Undo:     saga.Send("account.deposit", func(o placed) deposit { return deposit{o.Customer, o.Cents, ""} }),
				Together: true,
			},
			{
				Name:    "parcel",
				Do:      saga.Send("parcel.ship", func(o placed) ship { return ship{o.ID, o.Carrier} }),
				Done:    []saga.Match{saga.By[shipped]()},
				Timeout: waits,
				Undo:    saga.Send("parcel.recall", func(o placed) recall { return recall{o.ID} }),
			},
			{
				Name:     "takings",
				Do:       saga.Send("account.deposit", func(o placed) deposit { return deposit{till(o.Customer), o.Cents, ""} }),
				Undo:     saga.Send("account.withdraw", func(o placed) withdraw { return withdraw{till(o.Customer), o.Cents, ""} }),
				Together: true,
			},
		},
		Retry: saga.Retry{First: time.Millisecond, Most: 20 * time.Millisecond, Attempts: 1000},
	})
}

var (
	fulfilled = fulfilment("fulfilled", func(carrier string) bool { return carrier != late }, time.Hour)
	impatient = fulfilment("impatient", func(carrier string) bool { return carrier == late }, 50*time.Millisecond)
)

// orderKind is an order with what must become of it.
type orderKind struct {
	customer, item, carrier string
	ends                    saga.Phase
	undoes                  []string // steps, by name
}

var orderKinds = []orderKind{
	{"cay", "book", "swift", saga.Completed, nil},
	{"dov", "lamp", "swift", saga.Completed, nil},
	{"cay", "none", "swift", saga.Compensated, []string{"payment"}},
	{"poor", "book", "swift", saga.Compensated, []string{"stock"}},
	{"poor", unknown, "swift", saga.Compensated, nil},
	{"dov", "book", nowhere, saga.Compensated, []string{"payment", "stock", "takings"}},
	{"cay", "lamp", late, saga.Compensated, []string{"parcel", "payment", "stock", "takings"}},
}

// nthOrder returns the nth order, and what must become of it.
func nthOrder(n int) (placed, orderKind) {
	k := orderKinds[n%len(orderKinds)]
	return placed{fmt.Sprintf("o%05d", n), nthOf(k.customer, n), nthOf(k.item, n), k.carrier, int64(1 + n%100)}, k
}

// There are several of each account and item, so that they are not one long queue.
const several = 8

func nthOf(name string, n int) string { return fmt.Sprint(name, n%several) }

// till is the shop's for a customer.
func till(customer string) string { return "shop" + customer[len(customer)-1:] }
