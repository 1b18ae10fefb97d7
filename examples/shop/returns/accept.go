package returns

import (
	"context"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

// Accept asks to take back consecutive rows of one return.
type Accept struct {
	InvoiceNo string
	Rows      []retail.Row
}

// Accepting handles [Accept].
type Accepting struct {
	store   aggregate.LogStore
	events  *codec.Set
	returns *aggregate.Repository[State, Event]
}

// NewAccepting returns the handler for returns in the store. The events are those of
// the whole shop.
func NewAccepting(store eventstore.Store, events *codec.Set) *Accepting {
	return &Accepting{store, events, aggregate.NewRepository(store, Returns)}
}

// Handle settles every row. A customer may return what he has bought, on whichever
// orders that was, and has not returned yet: a rule across orders. So the decision
// reads the purchases and returns of just these items by just these customers, and is
// made again if one of them happens meanwhile.
func (a *Accepting) Handle(ctx context.Context, cmd Accept) (eventstore.Receipt, error) {
	query := purchasesOf(cmd.Rows)
	if len(query.Items) == 0 { // every row is rejected for what it says; there is nothing to look up
		return a.returns.Execute(ctx, cmd.InvoiceNo, func(State) ([]Event, error) { return settle(cmd.Rows, nil), nil })
	}
	return aggregate.Decide(ctx, a.store, a.events, query, count, func(kept purchases) ([]aggregate.Write, error) {
		write := aggregate.Write{Stream: Returns.Stream(cmd.InvoiceNo)}
		for _, event := range settle(cmd.Rows, kept) {
			write.Events = append(write.Events, event)
		}
		return []aggregate.Write{write}, nil
	})
}

// purchases counts what customers have bought and not returned.
type purchases map[purchase]int64

type purchase struct{ customer, stockCode string }

// purchasesOf returns the query for what the rows' customers bought and returned of
// the rows' items.
func purchasesOf(rows []retail.Row) (query eventstore.Query) {
	seen := map[purchase]bool{}
	for _, row := range rows {
		p := purchase{row.Customer, row.StockCode}
		if kind, _ := row.Kind(); kind != retail.Return || seen[p] {
			continue
		}
		seen[p] = true
		query.Items = append(query.Items, eventstore.QueryItem{
			Types: []string{"order.line_sold", "return.line_accepted"},
			Tags:  order.SaleTags(p.customer, p.stockCode),
		})
	}
	return query
}

// count folds a sale or a return into the purchases.
func count(kept *purchases, event any, _ eventstore.Recorded) {
	if *kept == nil {
		*kept = purchases{}
	}
	switch e := event.(type) {
	case order.LineSold:
		(*kept)[purchase{e.Customer, e.StockCode}] += e.Quantity
	case LineAccepted:
		(*kept)[purchase{e.Customer, e.StockCode}] -= e.Quantity
	}
}

// settle decides on the rows in their order; each accepted one leaves less to return
// for the next.
func settle(rows []retail.Row, kept purchases) []Event {
	returned := purchases{}
	var events []Event
	for n, row := range rows {
		kind, reason := row.Kind()
		p := purchase{row.Customer, row.StockCode}
		if kind == retail.Return && returned[p]-row.Quantity > kept[p] {
			kind, reason = retail.Rejected, retail.ReturnExceedsPurchases
		}
		if kind != retail.Return {
			events = append(events, LineRejected{Row: n, Reason: reason, Detail: row.Malformed, Text: row.Text})
			continue
		}
		returned[p] -= row.Quantity
		events = append(events, LineAccepted{
			Row: n, StockCode: row.StockCode, Description: row.Description, Quantity: -row.Quantity,
			UnitPence: row.Price.Pence, Customer: row.Customer, At: row.At,
		})
	}
	return events
}
