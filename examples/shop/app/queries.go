package app

import (
	"context"
	"fmt"

	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/returns"
	"github.com/leftfold/leftfold/examples/shop/sales"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// Questions about the shop. Lists are ordered, the best first.
type (
	// GetOrder asks for one order; the answer is an [order.Summary].
	GetOrder struct{ InvoiceNo string }
	// LargestOrders asks for orders by value; the answer is []order.Summary.
	LargestOrders struct{ Limit int }
	// BestCustomers asks for customers by net value; the answer is []sales.Customer.
	BestCustomers struct{ Limit int }
	// MostSold asks for items by units sold; the answer is []sales.Stock.
	MostSold struct{ Limit int }
	// SalesByDayAndCountry asks for all days and countries in their order; the answer is
	// []sales.DayInCountry.
	SalesByDayAndCountry struct{}
	// GetTotals asks for [Totals].
	GetTotals struct{}
)

// Totals sum up the whole shop.
type Totals struct {
	Orders        int64            `json:"orders"`
	Returns       int64            `json:"returns"`
	Adjustments   int64            `json:"adjustments"`
	GrossPence    int64            `json:"gross_pence"`
	ReturnedPence int64            `json:"returned_pence"`
	Days          map[string]int64 `json:"days"` // gross pence by YYYY-MM-DD
	Countries     int              `json:"countries"`
	StockMoved    int64            `json:"stock_moved"`
}

// readers reads the shop's views.
type readers struct {
	orders    *projection.Reader[order.Summary]
	returns   *projection.Reader[returns.Summary]
	days      *projection.Reader[sales.DayInCountry]
	stock     *projection.Reader[sales.Stock]
	customers *projection.Reader[sales.Customer]
}

func newQueries(sink projection.Sink) *query.Bus {
	r := readers{
		orders:    projection.NewReader(sink, order.Summaries),
		returns:   projection.NewReader(sink, returns.Summaries),
		days:      projection.NewReader(sink, sales.ByDayAndCountry),
		stock:     projection.NewReader(sink, sales.StockByItem),
		customers: projection.NewReader(sink, sales.BestCustomers),
	}
	bus := query.NewBus()
	query.Handle(bus, "get_order", func(ctx context.Context, q GetOrder) (order.Summary, error) {
		return r.orders.Get(ctx, q.InvoiceNo)
	}, query.Reads(order.Summaries.Name()))
	query.Handle(bus, "largest_orders", func(ctx context.Context, q LargestOrders) ([]order.Summary, error) {
		return top(ctx, r.orders, "pence", q.Limit)
	}, query.Reads(order.Summaries.Name()))
	query.Handle(bus, "best_customers", func(ctx context.Context, q BestCustomers) ([]sales.Customer, error) {
		return top(ctx, r.customers, "net_pence", q.Limit)
	}, query.Reads(sales.BestCustomers.Name()))
	query.Handle(bus, "most_sold", func(ctx context.Context, q MostSold) ([]sales.Stock, error) {
		return top(ctx, r.stock, "sold", q.Limit)
	}, query.Reads(sales.StockByItem.Name()))
	query.Handle(bus, "sales_by_day_and_country", func(ctx context.Context, _ SalesByDayAndCountry) ([]sales.DayInCountry, error) {
		return all(ctx, r.days)
	}, query.Reads(sales.ByDayAndCountry.Name()))
	query.Handle(bus, "get_totals", r.totals, query.Reads(
		order.Summaries.Name(), returns.Summaries.Name(), sales.ByDayAndCountry.Name(), sales.StockByItem.Name()))
	return bus
}

func top[R any](ctx context.Context, reader *projection.Reader[R], by string, limit int) ([]R, error) {
	page, err := reader.List(ctx, projection.ListQuery{By: by, Descending: true, Limit: limit})
	return page.Rows, err
}

func all[R any](ctx context.Context, reader *projection.Reader[R]) (rows []R, err error) {
	for row, err := range reader.All(ctx, projection.ListQuery{Limit: 1000}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// totals adds up rows of the views, all of them: every total is a sum that the views
// do not hold themselves.
func (r readers) totals(ctx context.Context, _ GetTotals) (Totals, error) {
	t := Totals{Days: map[string]int64{}}
	countries := map[string]bool{}
	err := each(ctx, r.orders, nil, func(o order.Summary) {
		if o.Lines > 0 {
			t.Orders++
		}
	})
	err = each(ctx, r.returns, err, func(o returns.Summary) {
		if o.Lines > 0 {
			t.Returns++
		}
		t.ReturnedPence += o.Pence
	})
	err = each(ctx, r.days, err, func(d sales.DayInCountry) {
		t.GrossPence += d.Pence
		t.Days[d.Day] += d.Pence
		countries[d.Country] = true
	})
	err = each(ctx, r.stock, err, func(s sales.Stock) {
		t.Adjustments += s.Adjustments
		t.StockMoved += s.Moved
	})
	t.Countries = len(countries)
	if err != nil {
		return Totals{}, fmt.Errorf("totals: %w", err)
	}
	return t, nil
}

// each calls do for every row, unless an earlier step has failed.
func each[R any](ctx context.Context, reader *projection.Reader[R], earlier error, do func(R)) error {
	if earlier != nil {
		return earlier
	}
	rows, err := all(ctx, reader)
	for _, row := range rows {
		do(row)
	}
	return err
}
