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
	"github.com/leftfold/leftfold/projection"
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
	// Follows are what has to come to the end of the log before nobody has anything left to do: read models,
	// and the relays that tell others.
	Follows []projection.Generation
}

// Services are all of them, the gateway included.
type Services map[string]Part

// Check reads all logs and all read models, and returns an error that names whatever does not add up.
// Orders that are open are left out of what only holds in the end. Nobody should be at work: what
// happens while it reads may be in one log and not in another one yet. See [Wait].
func Check(ctx context.Context, all Services) (Report, error) {
	var r Report
	var wrong []error
	orders := lives{}
	var decided []eventstore.Recorded // by whichever service, those of each in order
	for _, name := range []string{"order", "inventory", "payment", "shipping", "gateway"} {
		log, err := read(ctx, all[name].Store)
		own := all[name].decided(log)
		if err == nil {
			err = r.enter(own, orders)
		}
		if err != nil {
			return r, fmt.Errorf("the books of %s: %w", name, err)
		}
		decided = append(decided, own...)
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
	wrong = append(wrong, applied(ctx, all, &r), told(ctx, all["gateway"], decided), r.check())
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

// enter enters what a service has decided on.
func (r *Report) enter(decided []eventstore.Recorded, orders lives) error {
	for _, m := range decided {
		event, err := api.Events.Decode(m)
		if err != nil {
			return err
		}
		r.Events++
		r.sum(event[0], orders, m.Stream.ID())
	}
	return nil
}

// lives are those of all orders, by their ids.
type lives map[string]*life

func (l lives) of(id string) *life {
	if l[id] == nil {
		l[id] = new(life)
	}
	return l[id]
}

// sum adds an event up. What is no event of an item is one of the order of that id.
func (r *Report) sum(event any, orders lives, id string) {
	switch e := event.(type) {
	case api.Received:
		r.Received += e.Quantity
	case api.Picked:
		r.Sold += e.Quantity
		orders.of(e.Order).picked += e.Quantity
	case api.PutBack:
		r.Returned += e.Quantity
		orders.of(e.Order).putBack += e.Quantity
	case api.Placed:
		o := orders.of(id)
		o.placed, o.pence, o.units, r.Placed = o.placed+1, api.Order(e).Pence(), api.Order(e).Units(), r.Placed+1
	case api.Taken:
		o, pence := orders.of(id), e.Order.Pence()
		o.taken, o.took, r.Taken = o.taken+1, o.took+pence, r.Taken+pence
	case api.Refunded:
		o := orders.of(id)
		o.refunded, o.gave, r.Refunded = o.refunded+1, o.gave+e.Pence, r.Refunded+e.Pence
	case api.Fulfilled:
		orders.of(id).fulfilled++
		r.Fulfilled++
	case api.Cancelled:
		orders.of(id).cancelled++
		r.Cancelled++
	default:
		orders.of(id).happens(e)
	}
}
