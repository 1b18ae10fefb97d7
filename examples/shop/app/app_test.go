package app_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/straightline"
	"github.com/leftfold/leftfold/query"
)

// shop is a shop in memory whose projections run with the test.
type shop struct {
	*app.App
	store *memory.Store
	t     *testing.T
}

func open(t *testing.T) shop {
	t.Helper()
	store, sink := memory.NewStore(), memory.NewSink()
	s := shop{app.New(store, sink), store, t}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Projections().Run(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-done) })
	return s
}

func (s shop) imports(file io.Reader) app.Report {
	s.t.Helper()
	reader, err := retail.NewReader(file)
	require.NoError(s.t, err)
	report, err := s.Import(s.t.Context(), reader, func(app.Report) {})
	require.NoError(s.t, err)
	assert.Equal(s.t, report.Rows, report.Accepted+len(report.Rejected), "accepted + rejected = rows")
	return report
}

// totals asks for the totals once the views have everything that is in the log.
func (s shop) totals() app.Totals {
	s.t.Helper()
	head, err := s.store.Head(s.t.Context())
	require.NoError(s.t, err)
	totals, err := query.Ask[app.Totals](s.t.Context(), s.Queries, app.GetTotals{}, query.After(head))
	require.NoError(s.t, err)
	return totals
}

func csvOf(rows ...string) io.Reader {
	return strings.NewReader(retail.Header + "\n" + strings.Join(rows, "\n"))
}

func reasons(report app.Report) map[string]int {
	counts := map[string]int{}
	for _, r := range report.Rejected {
		counts[string(r.Reason)]++
	}
	return counts
}

func TestTortureTheViewsAgreeWithAStraightLineProgramToThePenny(t *testing.T) {
	s := open(t)
	report := s.imports(data.Open())
	want, err := straightline.Compute(data.Open())
	require.NoError(t, err)

	assert.Equal(t, want.Rows, report.Rows)
	assert.Equal(t, want.Accepted, report.Accepted)
	assert.Equal(t, want.Rejections, reasons(report))
	assert.Equal(t, app.Totals(want.Totals), s.totals())

	assert.Equal(t, 26_732, want.Rows)
	assert.Equal(t, 26_426, want.Accepted)
	assert.Equal(t, app.Totals{
		Orders: 955, Returns: 43, Adjustments: 185, GrossPence: 51_536_464, ReturnedPence: 255_526,
		Countries: 18, StockMoved: -214_215, Days: want.Totals.Days,
	}, s.totals())
}

func TestTortureASecondImportReportsTheFirstOutcomesAndAppendsNothing(t *testing.T) {
	s := open(t)
	orders := io.NewSectionReader(data.Open(), 0, 400_000) // the last line is cut off: one more outcome
	first := s.imports(orders)
	before := s.totals()
	_, err := orders.Seek(0, io.SeekStart)
	require.NoError(t, err)
	second := s.imports(orders)

	assert.Greater(t, len(first.Rejected), 20)

	assert.Equal(t, 0, second.Appended)
	assert.Equal(t, second.Groups, second.Repeated)
	assert.Equal(t, first.Rejected, second.Rejected)
	assert.Equal(t, before, s.totals())
}

func TestASecondFileContinuesWhereTheFirstEnded(t *testing.T) {
	bought := "1,A,lamp,5,01/12/2010 08:26,2.00,7,France"
	returned := "C2,A,lamp,-3,02/12/2010 08:26,2.00,7,France"

	s := open(t)
	assert.Equal(t, 1, s.imports(csvOf(bought)).Accepted)
	assert.Equal(t, 1, s.imports(csvOf(returned)).Accepted)
	assert.EqualValues(t, -2, s.totals().StockMoved)

	alone := open(t)
	assert.Equal(t, map[string]int{"return_exceeds_purchases": 1}, reasons(alone.imports(csvOf(returned))))
}

func TestTheTokenCoversTheNewRowsAmongRepeatedOnes(t *testing.T) {
	first, late, last := "1,A,lamp,5,01/12/2010 08:26,2,7,France", "2,A,lamp,5,01/12/2010 08:27,2,7,France", "3,A,lamp,5,01/12/2010 08:28,2,7,France"
	s := open(t)
	s.imports(csvOf(first, last))
	report := s.imports(csvOf(first, late, last))
	assert.Equal(t, 1, report.Appended)
	assert.EqualValues(t, 3, report.Token.Position)
}

func TestARejectedReturnStaysRejectedWhenTheFileIsImportedAgain(t *testing.T) {
	s := open(t)
	file := []string{"C1,A,lamp,-1,01/12/2010 08:26,2,7,France", "2,A,lamp,5,01/12/2010 08:27,2,7,France"}
	assert.Equal(t, map[string]int{"return_exceeds_purchases": 1}, reasons(s.imports(csvOf(file...))))
	// Decided again, it would be accepted now: the customer has bought five.
	assert.Equal(t, map[string]int{"return_exceeds_purchases": 1}, reasons(s.imports(csvOf(file...))))
	assert.EqualValues(t, 0, s.totals().Returns)
}

func TestEveryRuleOfTheTill(t *testing.T) {
	for name, c := range map[string]struct {
		row    string
		reason string // empty: accepted
	}{
		"a sale to a customer":               {"1,A,x,2,01/12/2010 08:26,2.50,7,France", ""},
		"a sale to a guest":                  {"1,A,x,2,01/12/2010 08:26,2.50,,France", ""},
		"a price that rounds to nothing":     {"1,A,x,2,01/12/2010 08:26,0.001,7,France", ""},
		"an adjustment up":                   {"1,A,x,2,01/12/2010 08:26,0,,France", ""},
		"an adjustment down":                 {"1,A,damaged?,-2,01/12/2010 08:26,0.00,,France", ""},
		"seven fields":                       {"1,A,x,2,01/12/2010 08:26,2.50,7", "malformed"},
		"nine fields":                        {"1,A,x,2,01/12/2010 08:26,2.50,7,France,more", "malformed"},
		"a quantity that is not a number":    {"1,A,x,two,01/12/2010 08:26,2.50,7,France", "malformed"},
		"a quantity with a fraction":         {"1,A,x,2.5,01/12/2010 08:26,2.50,7,France", "malformed"},
		"a price that is not a number":       {"1,A,x,2,01/12/2010 08:26,free,7,France", "malformed"},
		"a day that does not exist":          {"1,A,x,2,31/02/2010 08:26,2.50,7,France", "malformed"},
		"the month first":                    {"1,A,x,2,12/31/2010 08:26,2.50,7,France", "malformed"},
		"no invoice number":                  {",A,x,2,01/12/2010 08:26,2.50,7,France", "malformed"},
		"no stock code":                      {"1,,x,2,01/12/2010 08:26,2.50,7,France", "malformed"},
		"a return with a positive quantity":  {"C1,A,x,2,01/12/2010 08:26,2.50,7,France", "malformed"},
		"quantity zero":                      {"1,A,x,0,01/12/2010 08:26,2.50,7,France", "zero_quantity"},
		"quantity zero on a return":          {"C1,A,x,0,01/12/2010 08:26,2.50,,France", "zero_quantity"},
		"a negative price":                   {"1,A,x,1,01/12/2010 08:26,-2.50,7,France", "negative_price"},
		"a negative price, tiny":             {"1,A,x,1,01/12/2010 08:26,-0.0001,7,France", "negative_price"},
		"a return without customer":          {"C1,A,x,-1,01/12/2010 08:26,2.50,,France", "return_without_customer"},
		"a return of what was never bought":  {"C1,A,x,-1,01/12/2010 08:26,2.50,7,France", "return_exceeds_purchases"},
		"a negative quantity with a price":   {"1,A,x,-1,01/12/2010 08:26,2.50,7,France", "negative_quantity"},
		"a return of nothing at price zero":  {"C1,A,x,-1,01/12/2010 08:26,0,7,France", "return_exceeds_purchases"},
		"a name that no stream could have":   {"1,A\x07,x,2,01/12/2010 08:26,2.50,7,France", "malformed"},
		"a number that no counter could add": {"1,A,x,99999999999,01/12/2010 08:26,2.50,7,France", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			report := s.imports(csvOf(c.row))
			require.Equal(t, 1, report.Rows)
			if c.reason == "" {
				assert.Empty(t, report.Rejected)
				return
			}
			require.Len(t, report.Rejected, 1)
			assert.Equal(t, c.reason, string(report.Rejected[0].Reason))
			assert.Equal(t, 2, report.Rejected[0].Line)
			assert.Equal(t, c.row, report.Rejected[0].Text)
		})
	}
}

func TestAReturnMayTakeNoMoreThanWasBoughtOverAllOrders(t *testing.T) {
	s := open(t)
	report := s.imports(csvOf(
		"1,A,x,2,01/12/2010 08:26,2,7,France",
		"2,A,x,3,01/12/2010 08:26,2,7,France",
		"3,A,x,9,01/12/2010 08:26,2,8,France",   // somebody else's
		"C4,A,x,-4,01/12/2010 08:26,2,7,France", // leaves one
		"C4,A,x,-2,01/12/2010 08:26,2,7,France", // one too many
		"C4,A,x,-1,01/12/2010 08:26,2,7,France", // the last one
		"C5,A,x,-1,01/12/2010 08:26,2,7,France", // nothing left
	))
	assert.Equal(t, map[string]int{"return_exceeds_purchases": 2}, reasons(report))
	assert.Equal(t, []int{6, 8}, []int{report.Rejected[0].Line, report.Rejected[1].Line})
	assert.EqualValues(t, 1000, s.totals().ReturnedPence)
}

func TestLinesAndAdjustmentsOfOneInvoiceAreOneAppend(t *testing.T) {
	s := open(t)
	report := s.imports(csvOf(
		"1,A,x,2,01/12/2010 08:26,2,7,France",
		"1,B,x,-3,01/12/2010 08:26,0,7,France",
		"1,A,x,0,01/12/2010 08:26,2,7,France",
		"1,C,x,4,01/12/2010 08:26,0,7,France",
	))
	assert.Equal(t, 1, report.Groups)
	assert.Equal(t, 3, report.Rejected[0].Line-1, "the third row is the rejected one")
	read, err := s.store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	streams := map[eventstore.StreamID]int{}
	for event, err := range read.Events() {
		require.NoError(t, err)
		streams[event.Stream]++
	}
	assert.Equal(t, map[eventstore.StreamID]int{"order-1": 2, "stock-B": 1, "stock-C": 1}, streams)
}

func TestAnInvoiceSeenAgainGoesToTheSameOrder(t *testing.T) {
	s := open(t)
	s.imports(csvOf("1,A,x,2,01/12/2010 08:26,2,7,France", "2,A,x,1,01/12/2010 08:26,2,7,France", "1,B,x,1,01/12/2010 08:26,3,7,France"))
	head, err := s.store.Head(t.Context())
	require.NoError(t, err)
	summary, err := query.Ask[order.Summary](t.Context(), s.Queries, app.GetOrder{InvoiceNo: "1"}, query.After(head))
	require.NoError(t, err)
	assert.EqualValues(t, 2, summary.Lines)
	assert.EqualValues(t, 700, summary.Pence)
}

func TestIdenticalGroupsInOneFileAreCountedEach(t *testing.T) {
	row, other := "1,A,x,2,01/12/2010 08:26,2,7,France", "2,A,x,1,01/12/2010 08:26,2,7,France"
	s := open(t)
	report := s.imports(csvOf(row, other, row, other))
	assert.Equal(t, 4, report.Appended)
	assert.EqualValues(t, 1200, s.totals().GrossPence)
	assert.Equal(t, 0, s.imports(csvOf(row, other, row, other)).Appended)
}

func TestANULInAFileDoesNotStopTheViewsForGood(t *testing.T) {
	s := open(t)
	report := s.imports(csvOf("1,A,x\x00y,2,01/12/2010 08:26,2,7,Fra\x00nce", "1,A,x,2,01/12/2010 08:26,2,\x007,France", "1,A\x00,x,2,01/12/2010 08:26,2,7,France"))
	assert.Equal(t, map[string]int{"malformed": 2}, reasons(report), "it may stand in what is only shown, and not in a name")
	assert.EqualValues(t, 400, s.totals().GrossPence)
}

func TestSumsThatDoNotFitAreFoundByTheAudit(t *testing.T) {
	s := open(t)
	row := "1,A,x,1000000000,01/12/2010 08:26,10000000,7,France"
	s.imports(csvOf(slices.Repeat([]string{row}, 9)...))
	totals, _, err := s.Audit(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 9_000_000_000_000_000_000, totals.GrossPence)
	s.imports(csvOf(row))
	_, _, err = s.Audit(t.Context())
	assert.ErrorContains(t, err, "position 10: ")
}

func TestAnEventOfAnUnknownTypeStopsTheImportThatMeetsIt(t *testing.T) {
	s := open(t)
	_, err := s.store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.from_the_future", Data: []byte("{}")}}},
	}})
	require.NoError(t, err)
	reader, err := retail.NewReader(csvOf("1,A,x,2,01/12/2010 08:26,2,7,France"))
	require.NoError(t, err)
	_, err = s.Import(t.Context(), reader, func(app.Report) {})
	assert.ErrorContains(t, err, "order.from_the_future")
	assert.ErrorContains(t, err, "line 2")
}
