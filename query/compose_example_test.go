package query_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/query"
)

// A page of three services. It is nothing without the order; without the rest it says what it
// lacks.
func ExampleCompose() {
	type Order struct {
		ID    string `json:"id"`
		Cents int    `json:"cents"`
	}
	type Page struct {
		Order    Order           `json:"order"`
		Shipping string          `json:"shipping"`
		Advice   []string        `json:"advice"`
		Missing  []query.Missing `json:"missing,omitempty"`
	}
	getPage := func(ctx context.Context, id string) (Page, error) {
		order := query.Part("order", func(context.Context) (Order, error) { return Order{id, 4200}, nil })
		shipping := query.Part("shipping", func(ctx context.Context) (string, error) {
			<-ctx.Done() // it is slow today
			return "", ctx.Err()
		}, query.Timeout(10*time.Millisecond), query.Fallback("ask us"))
		advice := query.Part("advice", func(context.Context) ([]string, error) {
			return nil, errors.New("dial tcp 10.0.0.7: connection refused")
		}, query.Optional())

		missing, err := query.Compose(ctx, order, shipping, advice)
		if err != nil {
			return Page{}, err
		}
		page := Page{Missing: missing}
		page.Order, _ = order.Value()
		page.Shipping, _ = shipping.Value()
		page.Advice, _ = advice.Value()
		return page, nil
	}
	page, err := getPage(context.Background(), "42")
	if err != nil {
		panic(err)
	}
	body, err := json.MarshalIndent(page, "", " ")
	fmt.Println(string(body), err)
	// Output:
	// {
	//  "order": {
	//   "id": "42",
	//   "cents": 4200
	//  },
	//  "shipping": "ask us",
	//  "advice": null,
	//  "missing": [
	//   {
	//    "part": "shipping",
	//    "reason": "deadline"
	//   },
	//   {
	//    "part": "advice",
	//    "reason": "error"
	//   }
	//  ]
	// } <nil>
}

// Of many who want the same page at the same time one asks the service.
func ExampleCollapse() {
	var rates query.Collapse[string, float64]
	rate, err := rates.Do(context.Background(), "EUR/USD", func(context.Context) (float64, error) {
		return 1.25, nil // from a service
	})
	fmt.Println(rate, err)
	// Output: 1.25 <nil>
}
