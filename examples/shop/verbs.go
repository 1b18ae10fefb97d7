package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
)

// place places orders at a gateway.
func (o *options) place(ctx context.Context) error {
	placed, err := feed.Place(ctx, &httpapi.Client{URL: o.gateway}, feed.Orders(data.Open()), o.feed)
	fmt.Printf("%d orders were placed\n", placed)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // somebody has had enough
	}
	return err
}

// books waits until nobody has anything left to do, and says whether what all services have recorded
// adds up.
func (o *options) books(ctx context.Context) error {
	all, closing, err := o.Books(ctx)
	if err != nil {
		return err
	}
	report, err := books.Wait(ctx, all)
	text, failed := json.MarshalIndent(report, "", "  ")
	fmt.Printf("%s\n", text)
	return errors.Join(err, failed, closing())
}
