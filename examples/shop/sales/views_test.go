package sales_test

import (
	"testing"
	"time"

	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/inventory"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/returns"
	"github.com/leftfold/leftfold/examples/shop/sales"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

var (
	first  = time.Date(2010, 12, 1, 23, 59, 0, 0, time.UTC)
	second = first.Add(time.Minute)
)

func sold(at time.Time, customer, country, item string, quantity int64) order.LineSold {
	return order.LineSold{StockCode: item, Description: "LAMP", Quantity: quantity, UnitPence: 100, Customer: customer, Country: country, At: at}
}

func TestSalesAreAddedUpByDayAndCountry(t *testing.T) {
	projectiontest.Given(t, sales.ByDayAndCountry, app.Events).
		Happened("order-1", sold(first, "7", "France", "A", 2), sold(first, "7", "France", "B", 3)).
		Happened("order-2", sold(first, "8", "EIRE", "A", 1)).
		Happened("order-3", sold(second, "7", "France", "A", 1)).
		Rows(map[string]sales.DayInCountry{
			projection.Key("2010-12-01", "France"): row("2010-12-01", "France", 2, 500),
			projection.Key("2010-12-01", "EIRE"):   row("2010-12-01", "EIRE", 1, 100),
			projection.Key("2010-12-02", "France"): row("2010-12-02", "France", 1, 100),
		})
}

func row(day, country string, lines, pence int64) sales.DayInCountry {
	return sales.DayInCountry{Key: projection.Key(day, country), Day: day, Country: country, Lines: lines, Pence: pence}
}

func TestStockMovesWithSalesReturnsAndAdjustments(t *testing.T) {
	projectiontest.Given(t, sales.StockByItem, app.Events).
		Happened("order-1", sold(first, "7", "France", "A", 5)).
		Happened("return-C2", returns.LineAccepted{StockCode: "A", Description: "LAMP, RED", Quantity: 2, Customer: "7", At: second}).
		Happened("stock-A", inventory.Adjusted{StockCode: "A", Description: "damaged?", Quantity: -1, At: second}).
		Rows(map[string]sales.Stock{
			"A": {StockCode: "A", Description: "LAMP, RED", Sold: 5, Returned: 2, Adjusted: -1, Adjustments: 1, Moved: -4},
		})
}

func TestACustomerIsWorthWhatHeKept(t *testing.T) {
	projectiontest.Given(t, sales.BestCustomers, app.Events).
		Happened("order-1", sold(first, "7", "France", "A", 5), sold(first, "", "France", "A", 9)).
		Happened("return-C2", returns.LineAccepted{StockCode: "A", Quantity: 2, UnitPence: 100, Customer: "7", At: second}).
		Rows(map[string]sales.Customer{
			"7": {ID: "7", Country: "France", Lines: 1, BoughtPence: 500, ReturnedPence: 200, NetPence: 300},
		})
}
