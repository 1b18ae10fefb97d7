// Package feed places the invoices of a real shop as orders, at the door of the services.
package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/services/api"
)

// Orders yields the orders of an export of the till: of each invoice the lines that were sold. What
// else there is, returns, corrections of the stock and rows that make no sense, is left to the import
// (package app). An invoice that comes again is another order.
func Orders(export io.Reader) iter.Seq2[api.Order, error] {
	return func(yield func(api.Order, error) bool) {
		reader, err := retail.NewReader(export)
		if err != nil {
			yield(api.Order{}, err)
			return
		}
		seen := map[string]int{}
		for group, err := range reader.Groups() {
			o := api.Order{ID: group.InvoiceNo}
			for _, row := range group.Values() {
				if kind, _ := row.Kind(); kind == retail.Sale {
					o.Customer, o.Country = row.Customer, row.Country
					o.Lines = append(o.Lines, api.Line{Item: row.StockCode, Quantity: row.Quantity, Pence: row.Price.Pence})
				}
			}
			if err == nil && len(o.Lines) == 0 {
				continue
			}
			if seen[o.ID]++; seen[o.ID] > 1 {
				o.ID = fmt.Sprint(o.ID, "-", seen[o.ID])
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// Options say how orders are placed. The zero value works.
type Options struct {
	// Most is how many orders are placed. Default: all.
	Most int
	// Rate is how many a second. Default: as fast as it goes.
	Rate float64
	// Stock is how many of an item are delivered before the first order for it. Default: 500.
	Stock int64
	// Clients is how many orders are placed at a time. Default: 8.
	Clients int
	// Placed is called after each order, from several goroutines. Default: nobody is told.
	Placed func(o api.Order)
	// Waits is called before something is tried again, from several goroutines, with the reason. Default:
	// nobody is told.
	Waits func(err error)
}

// Place places the orders, and tries again what fails on the way for as long as ctx lasts. It returns how
// many were placed, as far as the answers tell. Each has its own key, so a feed that was cut off may be begun again.
func Place(ctx context.Context, gateway *httpapi.Client, orders iter.Seq2[api.Order, error], o Options) (int, error) {
	if o.Stock == 0 {
		o.Stock = 500
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	waiting := make(chan api.Order)
	var placed atomic.Int64
	var clients sync.WaitGroup
	for range cmp.Or(o.Clients, 8) {
		clients.Go(func() {
			for order := range waiting {
				if err := o.send(ctx, gateway, "order.place", api.Place(order), "order "+order.ID); err != nil {
					stop(err)
					continue
				}
				placed.Add(1)
				if o.Placed != nil {
					o.Placed(order)
				}
			}
		})
	}
	err := produce(ctx, gateway, orders, o, waiting)
	close(waiting)
	clients.Wait()
	return int(placed.Load()), errors.Join(err, context.Cause(ctx))
}

// produce hands out the orders, each when what it needs was delivered.
func produce(ctx context.Context, gateway *httpapi.Client, orders iter.Seq2[api.Order, error], o Options, to chan<- api.Order) error {
	shelf, given := map[string]bool{}, 0
	for order, err := range orders {
		if err != nil || o.Most > 0 && given == o.Most {
			return err
		}
		var delivery api.Receive
		for _, l := range api.ByItem(order.Lines) {
			if !shelf[l.Item] {
				shelf[l.Item] = true
				delivery.Lines = append(delivery.Lines, api.Line{Item: l.Item, Quantity: o.Stock})
			}
		}
		if len(delivery.Lines) > 0 {
			if err := o.send(ctx, gateway, "stock.receive", delivery, "stock for "+order.ID); err != nil {
				return err
			}
		}
		if o.Rate > 0 {
			select {
			case <-time.After(time.Duration(float64(time.Second) / o.Rate)):
			case <-ctx.Done():
			}
		}
		select {
		case to <- order:
			given++
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// send sends a command until somebody answers it for good.
func (o Options) send(ctx context.Context, gateway *httpapi.Client, name string, c any, key string) error {
	for {
		_, err := gateway.Dispatch(ctx, name, c, key)
		if remote, ok := errors.AsType[*httpapi.RemoteError](err); !ok || !remote.Retryable { // nil too
			return err
		}
		if o.Waits != nil {
			o.Waits(err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
