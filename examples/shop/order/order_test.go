package order_test

import (
	"testing"
	"time"

	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

var (
	morning = time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC)
	lamp    = retail.Row{
		InvoiceNo: "536365", StockCode: "A", Description: "LAMP", Quantity: 6, At: morning,
		Price: retail.Price{Pence: 255, Sign: 1}, Customer: "17850", Country: "France", Text: "536365,A,LAMP,…",
	}
	lampSold = order.LineSold{
		Row: 0, StockCode: "A", Description: "LAMP", Quantity: 6, UnitPence: 255,
		Customer: "17850", Country: "France", At: morning,
	}
)

func TestWhatMakesSenseIsSold(t *testing.T) {
	aggregatetest.For(t, order.Orders).
		When(order.Record(map[int]retail.Row{0: lamp})).
		Then(lampSold).
		ThenState(order.Order{Sold: 1})
}

func TestWhatMakesNoSenseIsRejectedAndRemembered(t *testing.T) {
	nothing, unreadable := lamp, retail.Row{InvoiceNo: "536365", Malformed: "it has 3 fields, want 8", Text: "536365,A,x"}
	nothing.Quantity = 0
	aggregatetest.For(t, order.Orders).
		When(order.Record(map[int]retail.Row{2: unreadable, 1: nothing, 0: lamp})).
		Then(
			lampSold,
			order.LineRejected{Row: 1, Reason: retail.ZeroQuantity, Text: lamp.Text},
			order.LineRejected{Row: 2, Reason: retail.Malformed, Detail: "it has 3 fields, want 8", Text: "536365,A,x"}).
		ThenState(order.Order{Sold: 1, Rejected: 2})
}

func TestAnInvoiceSeenAgainHasMoreLines(t *testing.T) {
	aggregatetest.For(t, order.Orders).
		Given(lampSold, order.LineRejected{Row: 1, Reason: retail.ZeroQuantity}).
		When(order.Record(map[int]retail.Row{0: lamp})).
		Then(lampSold).
		ThenState(order.Order{Sold: 2, Rejected: 1})
}

func TestASummaryAddsUpTheLinesOfItsOrder(t *testing.T) {
	vase := order.LineSold{Row: 1, StockCode: "B", Quantity: 2, UnitPence: 1000, Customer: "17850", Country: "France", At: morning.Add(time.Hour)}
	projectiontest.Given(t, order.Summaries, order.Orders.Events()).
		Happened("order-536365", lampSold, vase, order.LineRejected{Row: 2, Reason: retail.ZeroQuantity}).
		Happened("order-536366", order.LineRejected{Reason: retail.Malformed}).
		Rows(map[string]order.Summary{
			"536365": {InvoiceNo: "536365", Customer: "17850", Country: "France", PlacedAt: morning, Lines: 2, Units: 8, Pence: 3530, Rejected: 1},
			"536366": {InvoiceNo: "536366", Rejected: 1},
		})
}
