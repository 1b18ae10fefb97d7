package books

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// Wait waits until no order is open and all read models have everything, and returns what the books say
// then. The services must be at work, in whichever processes.
func Wait(ctx context.Context, all Services) (r Report, err error) {
	for {
		behind, err := all.behind(ctx)
		if err != nil {
			return r, err
		}
		if !behind {
			r, err = Check(ctx, all)
			if r.Open == 0 && err == nil {
				return r, nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return r, errors.Join(fmt.Errorf("the books are not closed: %d orders are open, or events are on their way; are all services running? (%w)", r.Open, ctx.Err()), err)
		}
	}
}

// behind reports whether a read model has not applied all of its log.
func (all Services) behind(ctx context.Context) (bool, error) {
	for name, part := range all {
		for _, view := range part.Service.Views {
			status, err := projection.StatusOf(ctx, part.Store, part.Store.Sink, view.Generation())
			if err != nil {
				return false, fmt.Errorf("the status of %s in %s: %w", view.Generation(), name, err)
			}
			if status.Position < status.Head {
				return true, nil
			}
		}
	}
	return false, nil
}
