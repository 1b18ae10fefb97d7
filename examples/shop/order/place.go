package order

import (
	"context"
	"maps"
	"slices"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/inventory"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

// Place asks to settle consecutive rows of one invoice.
type Place struct {
	InvoiceNo string
	Rows      []retail.Row
}

// Unnumbered is the order that takes the rows whose invoice number cannot be read.
const Unnumbered = "unnumbered"

// Placing handles [Place].
type Placing struct {
	store  aggregate.Store
	orders *aggregate.Repository[Order, Event]
	items  *aggregate.Repository[inventory.Item, inventory.Event]
}

// NewPlacing returns the handler for orders and items in the store.
func NewPlacing(store aggregate.Store) *Placing {
	return &Placing{store, aggregate.NewRepository(store, Orders), aggregate.NewRepository(store, inventory.Items)}
}

// Handle settles every row: sales and rejections on the order, adjustments on the
// items they correct, all in one append, so that an invoice is never half done.
func (p *Placing) Handle(ctx context.Context, cmd Place) (eventstore.Receipt, error) {
	lines := map[int]retail.Row{}
	adjustments := map[string]map[int]retail.Row{}
	for n, row := range cmd.Rows {
		if kind, _ := row.Kind(); kind != retail.Adjustment {
			lines[n] = row
			continue
		}
		if adjustments[row.StockCode] == nil {
			adjustments[row.StockCode] = map[int]retail.Row{}
		}
		adjustments[row.StockCode][n] = row
	}
	var plans []aggregate.Plan
	if len(lines) > 0 {
		plans = append(plans, p.orders.Plan(number(cmd.InvoiceNo), Record(lines)))
	}
	for _, stockCode := range sortedKeys(adjustments) {
		plans = append(plans, p.items.Plan(stockCode, inventory.Adjust(adjustments[stockCode])))
	}
	return aggregate.ExecuteAll(ctx, p.store, plans)
}

func number(invoiceNo string) string {
	if invoiceNo == "" {
		return Unnumbered
	}
	return invoiceNo
}

func sortedKeys[K int | string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
