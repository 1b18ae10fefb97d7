package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/leftfold/leftfold/examples/shop/order"
	"github.com/leftfold/leftfold/examples/shop/returns"
	"github.com/leftfold/leftfold/examples/shop/sales"
	"github.com/leftfold/leftfold/projection"
)

// ErrDifferent: two sinks do not hold the same rows.
var ErrDifferent = errors.New("read models differ")

// Compare compares every row of every view in two sinks and returns how many rows
// there are, or [ErrDifferent] with the first row that differs.
func Compare(ctx context.Context, a, b projection.Sink) (rows int, err error) {
	for _, compare := range []func() (int, error){
		func() (int, error) { return compareView(ctx, a, b, order.Summaries) },
		func() (int, error) { return compareView(ctx, a, b, returns.Summaries) },
		func() (int, error) { return compareView(ctx, a, b, sales.ByDayAndCountry) },
		func() (int, error) { return compareView(ctx, a, b, sales.StockByItem) },
		func() (int, error) { return compareView(ctx, a, b, sales.BestCustomers) },
	} {
		same, err := compare()
		rows += same
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func compareView[R any](ctx context.Context, a, b projection.Sink, view *projection.View[R]) (rows int, err error) {
	every := projection.ListQuery{Limit: 1000}
	next, stop := iter.Pull2(projection.NewReader(b, view).All(ctx, every))
	defer stop()
	for left, err := range projection.NewReader(a, view).All(ctx, every) {
		right, rightErr, ok := next()
		if err := errors.Join(err, rightErr); err != nil {
			return rows, fmt.Errorf("compare %s: %w", view.Name(), err)
		}
		if !ok || !reflect.DeepEqual(left, right) {
			return rows, fmt.Errorf("%w: %s: %+v against %+v", ErrDifferent, view.Name(), left, right)
		}
		rows++
	}
	if right, err, ok := next(); ok {
		return rows, errors.Join(err, fmt.Errorf("%w: %s: nothing against %+v", ErrDifferent, view.Name(), right))
	}
	return rows, nil
}
