package shop_test

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
	"github.com/leftfold/leftfold/examples/shop/services/gateway"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// faults decline payments, and leave countries without parcels.
func faults() map[string]*host.Faults {
	all := map[string]*host.Faults{}
	for _, name := range shop.Names {
		all[name] = new(host.Faults)
		all[name].Set(host.SetFaults{DeclineOver: 100_00, NobodyGoesTo: []string{"France"}})
	}
	return all
}

// four are orders with an end each: fulfilled, declined, not sent, and short of stock.
func four() iter.Seq2[api.Order, error] {
	return func(yield func(api.Order, error) bool) {
		for _, o := range []api.Order{
			{ID: "good", Country: "Spain", Lines: []api.Line{{Item: "mug", Quantity: 2, Pence: 300}, {Item: "tea", Quantity: 1, Pence: 450}, {Item: "mug", Quantity: 1, Pence: 200}}},
			{ID: "dear", Country: "Spain", Lines: []api.Line{{Item: "mug", Quantity: 1, Pence: 300_00}}},
			{ID: "far", Country: "France", Lines: []api.Line{{Item: "mug", Quantity: 3, Pence: 300}}},
			{ID: "many", Country: "Spain", Lines: []api.Line{{Item: "tea", Quantity: 1, Pence: 450}, {Item: "mug", Quantity: 99, Pence: 1}}},
		} {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// running is a shop that runs within a test.
type running struct {
	*shop.All
	books books.Services
}

func start(t *testing.T, c shop.Config) running {
	t.Helper()
	c.Faults = faults()
	ctx := context.WithoutCancel(t.Context()) // its end is that of the clean-up
	all, err := c.Start(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, all.Close()) })
	ledger, closing, err := c.Books(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, closing()) })
	return running{all, ledger}
}

func (r running) places(t *testing.T, orders iter.Seq2[api.Order, error], o feed.Options) books.Report {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	_, err := feed.Place(ctx, &httpapi.Client{URL: r.URLs["gateway"]}, orders, o)
	require.NoError(t, err)
	report, err := books.Wait(ctx, r.books)
	require.NoError(t, err)
	return report
}

// detail asks the gateway.
func (r running) detail(t *testing.T, order, from string) (status int, a gateway.Answer) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URLs["gateway"]+"/orders/"+order+"?from="+from, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		require.NoError(t, json.NewDecoder(response.Body).Decode(&a))
	}
	return response.StatusCode, a
}

var ways = map[string]func(t *testing.T) shop.Config{
	"a saga directs": func(t *testing.T) shop.Config { t.Helper(); return shop.Config{Where: host.Where{Dir: t.TempDir()}} },
	"nobody directs": func(t *testing.T) shop.Config {
		t.Helper()
		return shop.Config{Where: host.Where{Dir: t.TempDir()}, Choreographed: true}
	},
	"one transaction spans all stores": func(t *testing.T) shop.Config {
		t.Helper()
		return shop.Config{Where: host.Where{Postgres: postgrestest.Pool(t).Config().ConnString()}, SharedDB: true}
	},
}

// What was done for an order that fails is undone.
func TestOrdersEndAsTheyMust(t *testing.T) { endAsTheyMust(t, "a saga directs") }

// Nobody needs to direct. They are without -race, as all that runs five services on SQLite.
func TestTortureOrdersEndInTheSameWayWhoeverDirects(t *testing.T) {
	endAsTheyMust(t, "nobody directs", "one transaction spans all stores")
}

func endAsTheyMust(t *testing.T, these ...string) {
	t.Helper()
	t.Parallel()
	for _, name := range these {
		config := ways[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t))
			report := r.places(t, four(), feed.Options{Stock: 10})
			assert.EqualValues(t, 4, report.Placed)
			assert.EqualValues(t, 1, report.Fulfilled)
			assert.EqualValues(t, 1250, report.Taken-report.Refunded)
			assert.EqualValues(t, 900, report.Refunded)
			assert.EqualValues(t, 20-4, report.OnHand)
			for order, want := range map[string]gateway.Detail{
				"good": {Country: "Spain", Pence: 1250, Status: "fulfilled", Stock: "reserved", Payment: "taken", Shipment: "sent"},
				"dear": {Country: "Spain", Pence: 300_00, Status: "cancelled", Stock: "released", Payment: "declined", Reason: "the card is not good for so much"},
				"far":  {Country: "France", Pence: 900, Status: "cancelled", Stock: "released", Payment: "refunded", Shipment: "refused", Reason: "nobody goes to France"},
				"many": {Country: "Spain", Pence: 549, Status: "cancelled", Stock: "refused", Reason: "there are not enough of mug: "},
			} {
				want.Order = order
				status, got := r.detail(t, order, "both")
				require.Equal(t, http.StatusOK, status)
				if order == "many" { // of how many depends on who came before
					require.Contains(t, got.View.Reason, want.Reason)
					want.Reason = got.View.Reason
				}
				require.Equal(t, gateway.Answer{Composition: &want, View: &want}, got)
			}
		})
	}
}

// A service is away: the composition says what it lacks, the view does not need it, and asking for both
// shows the difference.
func TestTortureTheViewAnswersForAServiceThatIsAway(t *testing.T) {
	t.Parallel()
	r := start(t, ways["a saga directs"](t))
	r.places(t, four(), feed.Options{Stock: 10})
	require.NoError(t, r.Stop("payment"))
	status, both := r.detail(t, "far", "both")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, both.Missing, 1)
	assert.Equal(t, "payment", both.Missing[0].Part)
	assert.Equal(t, []string{`/payment: "refunded" -> (none)`}, both.Differences)

	require.NoError(t, r.Stop("order"))
	status, _ = r.detail(t, "far", "composition")
	assert.GreaterOrEqual(t, status, 500, "without the order there is no composition")
	status, view := r.detail(t, "far", "view")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "refunded", view.View.Payment)
	for order, want := range map[string]int{"none": http.StatusNotFound, "far": http.StatusBadRequest} {
		from := map[int]string{http.StatusNotFound: "view", http.StatusBadRequest: "memory"}[want]
		status, _ = r.detail(t, order, from)
		assert.Equal(t, want, status)
	}
	require.NoError(t, r.Restart("order"))
	require.NoError(t, r.Restart("payment"))
}

// Real invoices become orders, and what is no sale does not.
func TestRealInvoicesBecomeOrders(t *testing.T) {
	t.Parallel()
	var orders, lines, pence int64
	for o, err := range feed.Orders(data.Open()) {
		require.NoError(t, err)
		require.NoError(t, api.Place(o).Validate())
		orders, lines, pence = orders+1, lines+int64(len(o.Lines)), pence+o.Pence()
	}
	assert.EqualValues(t, 51_536_464, pence, "as the import has it")
	assert.Equal(t, []int64{955, 26_136}, []int64{orders, lines})
}
