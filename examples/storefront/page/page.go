// Package page makes the page of an order: the order, without which there is none, and what is on
// the shelf, if somebody says so in time. It has no store; it asks the services.
package page

import (
	"context"
	"time"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/query"
)

// Get asks for the page of an order.
type Get struct {
	Order string `json:"order"`
}

// Page has what this service needs of the answers of the others, in its own words.
type Page struct {
	Order   Order           `json:"order"`
	Stock   *Stock          `json:"stock"`
	Missing []query.Missing `json:"missing,omitempty"`
}

// Order is what orders says, and Stock what stock says.
type (
	Order struct {
		Order    string `json:"order"`
		Item     string `json:"item"`
		Quantity int32  `json:"quantity"`
	}
	Stock struct {
		OnHand int64  `json:"onHand"`
		From   string `json:"from"`
	}
)

// How long the stock may take in all, and one instance of it before the other one is asked.
const (
	stockTakes    = 2 * time.Second
	instanceTakes = time.Second
)

// Queries returns what the page service answers, by asking what the resolver finds.
func Queries(found discovery.Resolver) *query.Bus {
	orders, stock := client("http://orders", found, 0), client("http://stock", found, instanceTakes)
	bus := query.NewBus()
	query.Handle(bus, "page.get", func(ctx context.Context, q Get) (page Page, err error) {
		order := query.Part("order", func(ctx context.Context) (Order, error) {
			return httpapi.AskRemote[Order](ctx, orders, "order.get", q)
		})
		if _, err := query.Compose(ctx, order); err != nil {
			return Page{}, err
		}
		page.Order, _ = order.Value()
		shelf := query.Part("stock", func(ctx context.Context) (*Stock, error) {
			return httpapi.AskRemote[*Stock](ctx, stock, "stock.get", struct {
				Item string `json:"item"`
			}{page.Order.Item})
		}, query.Optional(), query.Timeout(stockTakes))
		page.Missing, err = query.Compose(ctx, shelf)
		page.Stock, _ = shelf.Value()
		return page, err
	})
	return bus
}

func client(url string, found discovery.Resolver, tryTimeout time.Duration) *httpapi.Client {
	transport := discovery.NewTransport(found, discovery.TransportOptions{TryTimeout: tryTimeout})
	return &httpapi.Client{URL: url, HTTP: discovery.NewClient(transport)}
}
