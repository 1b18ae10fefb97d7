package books

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/gateway"
	"github.com/leftfold/leftfold/examples/shop/services/inventory"
	"github.com/leftfold/leftfold/examples/shop/services/order"
	"github.com/leftfold/leftfold/examples/shop/services/payment"
	"github.com/leftfold/leftfold/examples/shop/services/shipping"
	"github.com/leftfold/leftfold/projection"
)

// decides reports whether it is an event of the service's own, not one that it was told of.
func (p Part) decides(m eventstore.Recorded) bool {
	for _, t := range p.Service.Events.Types() {
		if t.Name == m.Type {
			return true
		}
	}
	return false
}

// fresh compares all rows of the service with a fresh fold of its log.
func (p Part) fresh(ctx context.Context, log []eventstore.Recorded, r *Report) error {
	var wrong []error
	for _, view := range p.Service.Views {
		rows, err := view.Check(ctx, log, p.Store.Sink)
		wrong = append(wrong, err)
		r.Rows += rows
	}
	return errors.Join(wrong...)
}

// applied adds up what the rows of the four services say that they have applied, and the stock.
func applied(ctx context.Context, all Services, r *Report) error {
	return errors.Join(
		each(ctx, all["order"], order.Summaries, func(s order.Summary) { r.Applied += s.Applied }),
		each(ctx, all["inventory"], inventory.Levels, func(l inventory.Level) { r.OnHand, r.Applied = r.OnHand+l.OnHand, r.Applied+l.Applied }),
		each(ctx, all["inventory"], inventory.Reservations, func(row inventory.Row) { r.Applied += row.Applied }),
		each(ctx, all["payment"], payment.Payments, func(row payment.Row) { r.Applied += row.Applied }),
		each(ctx, all["shipping"], shipping.Shipments, func(row shipping.Row) { r.Applied += row.Applied }))
}

// told compares what the rows of the gateway say that they have applied with what has happened to
// each order, in whichever service.
func told(ctx context.Context, door Part, orders map[string]*life) error {
	heard := map[string]int64{}
	details := gateway.Details(door.Service.Views[0].Generation().Version)
	err := each(ctx, door, details, func(d gateway.Detail) { heard[d.Order] = d.Applied })
	var wrong []error
	for id, o := range orders {
		if heard[id] != o.events {
			wrong = append(wrong, fmt.Errorf("order %s: the gateway has applied %d events, the services have %d", id, heard[id], o.events))
		}
	}
	return errors.Join(append(wrong, err)...)
}

func each[R any](ctx context.Context, of Part, view *projection.View[R], do func(R)) error {
	for row, err := range projection.NewReader(of.Store.Sink, view).All(ctx, projection.ListQuery{Limit: 1000}) {
		if err != nil {
			return err
		}
		do(row)
	}
	return nil
}
