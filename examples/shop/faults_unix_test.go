//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/gateway"
	"github.com/leftfold/leftfold/examples/shop/services/host"
	"github.com/leftfold/leftfold/examples/shop/services/shop"
)

// The services find each other by DNS, and are made to fail over HTTP while they run: one is slow, declines,
// and is killed. All of that is over when it is taken back, and the books add up.
func TestTortureFaultsAreSwitchedWhileServicesRun(t *testing.T) {
	t.Parallel()
	config := inFiles(t)
	p := newProcesses(t, config)
	p.find = []string{"--domain", "shop.test", "--dns", serveNames(t, "shop.test", p.addresses)}
	for _, name := range shop.Names {
		args := map[string][]string{"payment": {"--faults", "--slow", "1h"}, "inventory": {"--faults"}}[name]
		p.start(t, name, append(args, "--lease", "2s")...)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	told := 0
	tell := func(service, command string, c any) error {
		told++
		_, err := (&httpapi.Client{URL: p.url(service)}).Dispatch(ctx, command, c, fmt.Sprint("switch ", told))
		return err
	}
	refuses := func(status int, err error) {
		t.Helper()
		var remote *httpapi.RemoteError
		require.ErrorAs(t, err, &remote)
		require.Equal(t, status, remote.Status, err)
	}

	p.place(ctx, t, "one")
	answer := p.detail(ctx, t, "one", func(gateway.Answer) bool { return true })
	require.Len(t, answer.Missing, 1, "payment does not answer")
	assert.Equal(t, "payment", answer.Missing[0].Part)
	refuses(http.StatusUnprocessableEntity, tell("payment", "faults.set", host.SetFaults{DeclinePercent: 101}))
	require.NoError(t, tell("payment", "faults.set", host.SetFaults{DeclinePercent: 100}))
	answer = p.detail(ctx, t, "one", func(a gateway.Answer) bool { return a.Composition.Status == "cancelled" })
	assert.Equal(t, "the bank says no", answer.Composition.Reason)

	require.NoError(t, tell("payment", "faults.set", host.SetFaults{}))
	require.Error(t, tell("inventory", "faults.kill", host.KillMe{}))
	require.ErrorContains(t, p.running["inventory"].Wait(), "killed")
	p.place(ctx, t, "two")
	p.start(t, "inventory", p.running["inventory"].args...)
	refuses(http.StatusNotFound, tell("shipping", "faults.kill", host.KillMe{}))

	require.Equal(t, "3 orders were placed\n", p.run(t, "feed", "--orders", "3", "--rate", "100", "--gateway", p.url("gateway")))
	all, closing, err := config.Books(ctx)
	require.NoError(t, err)
	r, err := books.Wait(ctx, all)
	require.NoError(t, err)
	require.NoError(t, closing())
	assert.Equal(t, []int64{5, 4, 1}, []int64{r.Placed, r.Fulfilled, r.Cancelled})
	p.stop(t)
}

// place places an order for a mug that is there.
func (p *processes) place(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	mug := []api.Line{{Item: "mug", Quantity: 1, Pence: 300}}
	if id == "one" {
		_, err := (&httpapi.Client{URL: p.url("gateway")}).Dispatch(ctx, "stock.receive", api.Receive{Lines: []api.Line{{Item: "mug", Quantity: 9}}}, "delivery")
		require.NoError(t, err)
	}
	_, err := (&httpapi.Client{URL: p.url("gateway")}).Dispatch(ctx, "order.place", api.Place{ID: id, Country: "Spain", Lines: mug}, "order "+id)
	require.NoError(t, err)
}

// detail asks the gateway how an order stands until it is as it should be.
func (p *processes) detail(ctx context.Context, t *testing.T, order string, is func(gateway.Answer) bool) (a gateway.Answer) {
	t.Helper()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url("gateway")+"/orders/"+order, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err, "%+v", a)
		found := response.StatusCode == http.StatusOK
		a = gateway.Answer{}
		if found {
			require.NoError(t, json.NewDecoder(response.Body).Decode(&a))
		}
		require.NoError(t, response.Body.Close())
		if found && is(a) {
			return a
		}
	}
}
