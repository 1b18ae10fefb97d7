// Package sales looks at orders, returns and stock from the shop's side: days,
// countries, items, customers. It only reads what the other packages record.
package sales

import (
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/inventory"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/returns"
	"github.com/leftfold/leftfold/projection"
)

// DayInCountry is what one country bought on one day.
type DayInCountry struct {
	Key     string `leftfold:"key"`
	Day     string // YYYY-MM-DD
	Country string
	Lines   int64
	Pence   int64
}

// ByDayAndCountry is the view of sales by day and country.
var ByDayAndCountry = projection.NewView("sales_by_day_and_country", projection.ViewOptions{Version: 1, Indexes: []string{"pence"}},
	projection.WhenKeyed(
		func(e order.LineSold, _ eventstore.Recorded) string { return projection.Key(day(e.At), e.Country) },
		func(d *DayInCountry, e order.LineSold, _ eventstore.Recorded) {
			d.Day, d.Country = day(e.At), e.Country
			d.Lines++
			d.Pence += e.Pence()
		}))

func day(at time.Time) string { return at.Format(time.DateOnly) }

// Stock is how an item's stock has moved since the books were opened. The shop opens
// with what is on the shelves, so Moved may be negative.
type Stock struct {
	StockCode   string `leftfold:"key"`
	Description string
	Sold        int64
	Returned    int64
	Adjusted    int64
	Adjustments int64 // how many rows Adjusted is the sum of
	Moved       int64 // − Sold + Returned + Adjusted
}

// StockByItem is the view of the stock.
var StockByItem = projection.NewView("stock_by_item", projection.ViewOptions{Version: 1, Indexes: []string{"moved", "sold"}},
	projection.WhenKeyed(
		func(e order.LineSold, _ eventstore.Recorded) string { return e.StockCode },
		func(s *Stock, e order.LineSold, _ eventstore.Recorded) {
			s.describe(e.Description)
			s.Sold += e.Quantity
			s.Moved -= e.Quantity
		}),
	projection.WhenKeyed(
		func(e returns.LineAccepted, _ eventstore.Recorded) string { return e.StockCode },
		func(s *Stock, e returns.LineAccepted, _ eventstore.Recorded) {
			s.describe(e.Description)
			s.Returned += e.Quantity
			s.Moved += e.Quantity
		}),
	projection.WhenKeyed(
		func(e inventory.Adjusted, _ eventstore.Recorded) string { return e.StockCode },
		func(s *Stock, e inventory.Adjusted, _ eventstore.Recorded) {
			s.Adjusted += e.Quantity
			s.Adjustments++
			s.Moved += e.Quantity
		}))

// describe keeps the newest description. Those of adjustments are remarks such as
// "damaged?" and are not taken.
func (s *Stock) describe(description string) {
	if description != "" {
		s.Description = description
	}
}

// Customer is what a customer bought and gave back.
type Customer struct {
	ID            string `leftfold:"key"`
	Country       string
	Lines         int64
	BoughtPence   int64
	ReturnedPence int64
	NetPence      int64
}

// BestCustomers is the view of the customers. Guests are not in it.
var BestCustomers = projection.NewView("customers", projection.ViewOptions{Version: 1, Indexes: []string{"net_pence"}},
	projection.WhenKeyed(
		func(e order.LineSold, _ eventstore.Recorded) string { return e.Customer },
		func(c *Customer, e order.LineSold, _ eventstore.Recorded) {
			c.Country = e.Country
			c.Lines++
			c.BoughtPence += e.Pence()
			c.NetPence += e.Pence()
		}),
	projection.WhenKeyed(
		func(e returns.LineAccepted, _ eventstore.Recorded) string { return e.Customer },
		func(c *Customer, e returns.LineAccepted, _ eventstore.Recorded) {
			c.ReturnedPence += e.Pence()
			c.NetPence -= e.Pence()
		}))
