package books

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/gateway"
	"github.com/leftfold/leftfold/examples/shop/services/inventory"
	"github.com/leftfold/leftfold/examples/shop/services/order"
	"github.com/leftfold/leftfold/examples/shop/services/payment"
	"github.com/leftfold/leftfold/examples/shop/services/shipping"
	"github.com/leftfold/leftfold/projection"
)

// decided returns the events that are the service's own, not those that it was told of.
func (p Part) decided(log []eventstore.Recorded) (own []eventstore.Recorded) {
	types := map[string]bool{}
	for _, t := range p.Service.Events.Types() {
		types[t.Name] = true
	}
	for _, m := range log {
		if types[m.Type] {
			own = append(own, m)
		}
	}
	return own
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

// told compares the rows of the gateway with a fold of what the services have decided: each event has come
// to it once, and those of one service in their order.
func told(ctx context.Context, door Part, decided []eventstore.Recorded) error {
	details := gateway.Details(door.Service.Views[0].Generation().Version)
	want, err := details.Fold(api.Events, decided)
	if err != nil {
		return err
	}
	var wrong []error
	err = each(ctx, door, details, func(d gateway.Detail) {
		if d != want[d.Order] {
			wrong = append(wrong, fmt.Errorf("order %s: the gateway says %+v, the services say %+v", d.Order, d, want[d.Order]))
		}
		delete(want, d.Order)
	})
	for _, id := range slices.Sorted(maps.Keys(want)) {
		wrong = append(wrong, fmt.Errorf("order %s: the gateway knows nothing of it", id))
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
