package books

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/order"
	"github.com/leftfold/leftfold/projection"
)

// Wait waits until nobody has anything left to do, and returns what the books say then and what is wrong with
// them. The services must be at work, in whichever processes.
func Wait(ctx context.Context, all Services) (Report, error) {
	last := "they cannot be read"
	for {
		r, wrong, waiting, err := Look(ctx, all)
		switch {
		case err != nil && ctx.Err() == nil:
			return r, errors.Join(err, wrong)
		case err == nil && waiting == "":
			return r, wrong
		}
		last = cmp.Or(waiting, last)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return unclosed(ctx, all, last)
		}
	}
}

// unclosed returns the books as they are when the time to wait is over. Who was told to stop reads nothing more.
func unclosed(ctx context.Context, all Services, waiting string) (Report, error) {
	closed := fmt.Errorf("the books are not closed: %s; are all services running? (%w)", waiting, ctx.Err())
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Report{}, closed
	}
	finally, stop := context.WithTimeout(context.WithoutCancel(ctx), mostToRead)
	defer stop()
	r, wrong := Check(finally, all)
	return r, errors.Join(closed, wrong)
}

// mostToRead is how long it may take to read the books once more when the time to wait is over.
const mostToRead = 30 * time.Second

// Look returns what the books say and what is wrong with them, if nobody has anything left to do: then that no
// longer changes, for nothing has happened while they were read. Else it says what there is to wait for.
func Look(ctx context.Context, all Services) (r Report, wrong error, waiting string, err error) {
	before, err := all.heads(ctx)
	if err == nil {
		waiting, err = all.behind(ctx)
	}
	if err == nil && waiting == "" {
		waiting, err = all.open(ctx)
	}
	if err != nil || waiting != "" {
		return r, nil, waiting, err
	}
	r, wrong = Check(ctx, all)
	after, err := all.heads(ctx)
	switch {
	case err != nil:
	case r.Open > 0:
		waiting = fmt.Sprintf("%d orders are open", r.Open)
	case !maps.Equal(before, after):
		waiting = "events came while the books were read"
	}
	return r, wrong, waiting, err
}

// open says how many orders are open by the read model, which is at the end of its log; empty: none. It saves
// reading everything while there is something to wait for; whether the read model is right is for [Check].
func (all Services) open(ctx context.Context) (string, error) {
	totals, err := order.Overall(ctx, all["order"].Store.Sink)
	if err != nil || totals.Open() <= 0 {
		return "", err
	}
	return fmt.Sprintf("%d orders are open", totals.Open()), nil
}

// heads are how far the logs have come.
func (all Services) heads(ctx context.Context) (map[string]eventstore.Token, error) {
	heads := map[string]eventstore.Token{}
	for name, part := range all {
		head, err := part.Store.Head(ctx)
		if err != nil {
			return nil, fmt.Errorf("the head of %s: %w", name, err)
		}
		heads[name] = head
	}
	return heads, nil
}

// behind says what has not come to the end of its log; empty: all have.
func (all Services) behind(ctx context.Context) (string, error) {
	for name, part := range all {
		for _, of := range part.Follows {
			status, err := projection.StatusOf(ctx, part.Store, part.Store.Sink, of)
			if err != nil {
				return "", fmt.Errorf("the status of %s in %s: %w", of, name, err)
			}
			if status.Position < status.Head {
				return fmt.Sprintf("%s of %s is %d events behind", of, name, status.Lag()), nil
			}
		}
	}
	return "", nil
}
