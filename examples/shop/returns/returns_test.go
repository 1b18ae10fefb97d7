package returns_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/aggregate/aggregatetest"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/returns"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

var evening = time.Date(2010, 12, 1, 18, 0, 0, 0, time.UTC)

func accepted(n int, customer, item string, quantity int64) returns.LineAccepted {
	return returns.LineAccepted{Row: n, StockCode: item, Quantity: quantity, UnitPence: 255, Customer: customer, At: evening}
}

func rejected(n int, reason retail.Reason) returns.LineRejected {
	return returns.LineRejected{Row: n, Reason: reason, Text: "as it stood"}
}

func giveBack(customer, item string, quantity int64) retail.Row {
	return retail.Row{
		InvoiceNo: "C1", StockCode: item, Quantity: -quantity, At: evening,
		Price: retail.Price{Pence: 255, Sign: 1}, Customer: customer, Text: "as it stood",
	}
}

func TestAReturnCountsItsRows(t *testing.T) {
	aggregatetest.For(t, returns.Returns).
		Given(accepted(0, "7", "A", 1), rejected(1, retail.ReturnExceedsPurchases)).
		When(func(returns.State) ([]returns.Event, error) { return []returns.Event{accepted(0, "7", "B", 2)}, nil }).
		Then(accepted(0, "7", "B", 2)).
		ThenState(returns.State{Accepted: 2, Rejected: 1})
}

// given returns a shop's store in which goods were sold, each on an order of its own.
func given(t *testing.T, sold ...order.LineSold) *memory.Store {
	t.Helper()
	store := memory.NewStore()
	orders := aggregate.NewRepository(store, order.Orders)
	for n, line := range sold {
		_, err := orders.Execute(t.Context(), string(rune('1'+n)), func(order.Order) ([]order.Event, error) { return []order.Event{line}, nil })
		require.NoError(t, err)
	}
	return store
}

func sold(customer, item string, quantity int64) order.LineSold {
	return order.LineSold{StockCode: item, Quantity: quantity, UnitPence: 255, Customer: customer, Country: "France", At: evening}
}

// outcome accepts the rows and returns what the return recorded.
func outcome(t *testing.T, store *memory.Store, rows ...retail.Row) (events []any) {
	t.Helper()
	set, err := codec.Merge(order.Orders.Events(), returns.Returns.Events())
	require.NoError(t, err)
	_, err = returns.NewAccepting(store, set).Handle(t.Context(), returns.Accept{InvoiceNo: "C1", Rows: rows})
	require.NoError(t, err)
	for recorded, err := range store.ReadStream(t.Context(), "return-C1", eventstore.StreamRange{}) {
		require.NoError(t, err)
		decoded, err := set.Decode(recorded)
		require.NoError(t, err)
		events = append(events, decoded...)
	}
	return events
}

func TestACustomerMayReturnWhatHeBoughtOnAllHisOrders(t *testing.T) {
	store := given(t, sold("7", "A", 2), sold("7", "A", 3), sold("8", "A", 9), sold("7", "B", 9))
	assert.Equal(t, []any{
		accepted(0, "7", "A", 4),
		rejected(1, retail.ReturnExceedsPurchases), // one is left
		accepted(2, "7", "A", 1),
	}, outcome(t, store, giveBack("7", "A", 4), giveBack("7", "A", 2), giveBack("7", "A", 1)))
}

func TestWhatWasReturnedBeforeIsGone(t *testing.T) {
	store := given(t, sold("7", "A", 2))
	outcome(t, store, giveBack("7", "A", 2))
	assert.Equal(t, []any{
		accepted(0, "7", "A", 2),
		rejected(0, retail.ReturnExceedsPurchases),
	}, outcome(t, store, giveBack("7", "A", 1)))
}

func TestAGuestCannotReturnAnything(t *testing.T) {
	store := given(t, sold("", "A", 2))
	assert.Equal(t, []any{rejected(0, retail.ReturnWithoutCustomer)}, outcome(t, store, giveBack("", "A", 1)))
}

func TestASummaryAddsUpTheLinesOfItsReturn(t *testing.T) {
	projectiontest.Given(t, returns.Summaries, returns.Returns.Events()).
		Happened("return-C1", accepted(0, "7", "A", 1), accepted(1, "7", "B", 2), rejected(2, retail.ReturnExceedsPurchases)).
		Rows(map[string]returns.Summary{
			"C1": {InvoiceNo: "C1", Customer: "7", AcceptedAt: evening, Lines: 2, Units: 3, Pence: 765, Rejected: 1},
		})
}
