package inventory_test

import (
	"testing"
	"time"

	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/examples/shop/inventory"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

var noon = time.Date(2010, 12, 1, 12, 0, 0, 0, time.UTC)

func row(quantity int64, remark string) retail.Row {
	return retail.Row{InvoiceNo: "536589", StockCode: "A", Description: remark, Quantity: quantity, At: noon}
}

func adjusted(n int, quantity int64, remark string) inventory.Adjusted {
	return inventory.Adjusted{Row: n, StockCode: "A", Description: remark, Quantity: quantity, InvoiceNo: "536589", At: noon}
}

func TestAnItemIsCorrectedUpAndDown(t *testing.T) {
	aggregatetest.For(t, inventory.Items).
		Given(adjusted(0, 100, "found")).
		When(inventory.Adjust(map[int]retail.Row{3: row(5, ""), 1: row(-10, "damaged?")})).
		Then(adjusted(1, -10, "damaged?"), adjusted(3, 5, "")).
		ThenState(inventory.Item{Corrected: 95})
}

func TestACorrectionMayGoBelowWhatIsKnown(t *testing.T) {
	aggregatetest.For(t, inventory.Items).
		When(inventory.Adjust(map[int]retail.Row{0: row(-10, "lost")})).
		Then(adjusted(0, -10, "lost")).
		ThenState(inventory.Item{Corrected: -10})
}
