package main

import (
	"context"
	"fmt"
	"io"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/examples/shop/app"
	"github.com/leftfold/leftfold/examples/shop/retail"
	"github.com/leftfold/leftfold/examples/shop/sales"
	"github.com/leftfold/leftfold/query"
)

// importInto imports twelve days of orders into a file, keeps the views up to date meanwhile, and
// answers two questions. Run it twice: the second run appends nothing. It is the shop as one service:
// what it does is in the packages order, returns and inventory, which decide, in sales, which looks at
// the whole, and in app, which puts them together.
func importInto(ctx context.Context, path string, orders io.Reader) error {
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx)) // everything was acknowledged before

	// One file holds the log and the read models. They could be anywhere else.
	shop := app.New(store, store.Sink())
	views := shop.Projections()
	if err := views.CatchUp(ctx); err != nil { // with what an earlier run left undone
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	projecting := make(chan error, 1)
	go func() { defer stop(); projecting <- views.Run(ctx) }()

	err = answer(ctx, shop, orders)
	stop()
	if failed := <-projecting; failed != nil {
		return failed // it is why answer ended
	}
	return err
}

func answer(ctx context.Context, shop *app.App, orders io.Reader) error {
	export, err := retail.NewReader(orders)
	if err != nil {
		return err
	}
	report, err := shop.Import(ctx, export, func(app.Report) {})
	if err != nil {
		return err
	}
	fmt.Printf("%d rows: %d accepted, %d rejected, %d events appended\n", report.Rows, report.Accepted, len(report.Rejected), report.Appended)

	// The views follow the log within milliseconds. The token makes the answers include
	// everything that was just imported.
	fresh := query.After(report.Token)
	totals, err := query.Ask[app.Totals](ctx, shop.Queries, app.GetTotals{}, fresh)
	if err != nil {
		return err
	}
	fmt.Printf("%d orders from %d countries, %s; %s returned\n", totals.Orders, totals.Countries, retail.Pounds(totals.GrossPence), retail.Pounds(totals.ReturnedPence))

	customers, err := query.Ask[[]sales.Customer](ctx, shop.Queries, app.BestCustomers{Limit: 3}, fresh)
	if err != nil {
		return err
	}
	for n, c := range customers {
		fmt.Printf("%d. customer %s, %s: %s\n", n+1, c.ID, c.Country, retail.Pounds(c.NetPence))
	}
	return nil
}
