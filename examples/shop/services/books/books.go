// Package books looks at what all services have recorded, and says whether it adds up. It knows
// nothing of how it came about: the services may have been killed and restarted, one saga may have
// directed them or nobody, or one transaction may have spanned them.
package books

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/host"
)

// Report is what the books say.
type Report struct {
	Placed    int64 `json:"placed"`
	Fulfilled int64 `json:"fulfilled"`
	Cancelled int64 `json:"cancelled"`
	Open      int64 `json:"open"` // orders that somebody still has something to do for

	Received int64 `json:"received"` // units
	OnHand   int64 `json:"onHand"`   // as the read model has it
	Sold     int64 `json:"sold"`     // picked for orders
	Returned int64 `json:"returned"` // put back

	Taken          int64 `json:"takenPence"`
	Refunded       int64 `json:"refundedPence"`
	FulfilledPence int64 `json:"fulfilledPence"`

	Events  int64 `json:"events"`  // that the services have decided on
	Applied int64 `json:"applied"` // events that their read models say they have applied
	Rows    int   `json:"rows"`    // of read models that were compared with a fresh fold
}

// Part is a service with its store.
type Part struct {
	Service host.Service
	Store   *host.Store
}

// Services are all of them, the gateway included.
type Services map[string]Part

// Check reads all logs and all read models, and returns an error that names whatever does not add up.
// Orders that are open are left out of what only holds in the end. Nobody should be at work: what
// happens while it reads may be in one log and not in another one yet. See [Wait].
func Check(ctx context.Context, all Services) (Report, error) {
	var r Report
	var wrong []error
	orders := map[string]*life{}
	for _, name := range []string{"order", "inventory", "payment", "shipping", "gateway"} {
		log, err := read(ctx, all[name].Store)
		if err == nil {
			err = r.enter(all[name], log, orders)
		}
		if err != nil {
			return r, fmt.Errorf("the books of %s: %w", name, err)
		}
		wrong = append(wrong, all[name].fresh(ctx, log, &r))
	}
	for id, o := range orders {
		wrong = append(wrong, o.check(id))
		if o.open() {
			r.Open++
		} else if o.fulfilled == 1 {
			r.FulfilledPence += o.pence
		}
	}
	wrong = append(wrong, applied(ctx, all, &r), told(ctx, all["gateway"], orders), r.check())
	return r, errors.Join(wrong...)
}

func read(ctx context.Context, store eventstore.LogReader) (log []eventstore.Recorded, err error) {
	reading, err := store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return nil, err
	}
	for m, err := range reading.Events() {
		if err != nil {
			return nil, err
		}
		log = append(log, m)
	}
	return log, nil
}

// check is what holds of the sums.
func (r *Report) check() error {
	var wrong []error
	is := func(holds bool, format string, values ...any) {
		if !holds {
			wrong = append(wrong, fmt.Errorf(format, values...))
		}
	}
	is(r.OnHand+r.Sold-r.Returned == r.Received, "stock %d + sold %d - returned %d is not what was received, %d", r.OnHand, r.Sold, r.Returned, r.Received)
	is(r.Applied == r.Events, "the read models have applied %d events, the logs have %d", r.Applied, r.Events)
	if r.Open == 0 {
		is(r.Placed == r.Fulfilled+r.Cancelled, "placed %d is not fulfilled %d + cancelled %d", r.Placed, r.Fulfilled, r.Cancelled)
		is(r.Taken-r.Refunded == r.FulfilledPence, "taken %d - refunded %d is not what fulfilled orders cost, %d", r.Taken, r.Refunded, r.FulfilledPence)
	}
	return errors.Join(wrong...)
}

// enter enters what the service has decided on.
func (r *Report) enter(part Part, log []eventstore.Recorded, orders map[string]*life) error {
	for _, m := range log {
		if !part.decides(m) {
			continue
		}
		decoded, err := api.Events.Decode(m)
		if err != nil {
			return err
		}
		r.Events++
		o := orders[m.Stream.ID()]
		if o == nil && m.Stream.Category() != "item" {
			o = new(life)
			orders[m.Stream.ID()] = o
		}
		r.sum(decoded[0], o)
	}
	return nil
}

func (r *Report) sum(event any, o *life) {
	switch e := event.(type) {
	case api.Placed:
		o.placed, o.pence, r.Placed = o.placed+1, api.Order(e).Pence(), r.Placed+1
	case api.Fulfilled:
		o.fulfilled, r.Fulfilled = o.fulfilled+1, r.Fulfilled+1
	case api.Cancelled:
		o.cancelled, r.Cancelled = o.cancelled+1, r.Cancelled+1
	case api.Received:
		r.Received += e.Quantity
	case api.Picked:
		r.Sold += e.Quantity
	case api.PutBack:
		r.Returned += e.Quantity
	case api.Reserved:
		o.reserved++
	case api.Released:
		o.released++
	case api.StockRefused, api.Declined, api.ShipmentRefused:
		o.refused++
	case api.Taken:
		o.taken, r.Taken = o.taken+1, r.Taken+e.Order.Pence()
	case api.Refunded:
		o.refunded, r.Refunded = o.refunded+1, r.Refunded+e.Pence
	case api.Sent:
		o.sent++
	}
	if o != nil {
		o.events++
	}
}
