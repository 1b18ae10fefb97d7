package eventstore

import (
	"context"
	"time"
)

// Notifier is an optional power of a store: it wakes readers without polling. A wrapper
// that embeds a [Store] hides the power: readers then poll, unless it forwards WaitAppended.
type Notifier interface {
	// WaitAppended returns once the head is beyond the position, or with the error of
	// ctx. A wake-up is a hint about readable events: when it returns nil, a read that
	// starts afterwards finds them.
	WaitAppended(ctx context.Context, beyond Position) error
}

// Polling bounds for stores that cannot notify.
const (
	minPoll = 2 * time.Millisecond
	maxPoll = 50 * time.Millisecond
)

// WaitAppended waits until the head of the log is beyond the position: by the
// store's [Notifier] if it has one, else by asking for the head every 2 ms at first,
// slowing to 50 ms. It returns the error of ctx if that ends first, or that of Head.
func WaitAppended(ctx context.Context, log LogReader, beyond Position) error {
	if n, ok := log.(Notifier); ok {
		return n.WaitAppended(ctx, beyond)
	}
	for pause := minPoll; ; pause = min(2*pause, maxPoll) {
		head, err := log.Head(ctx)
		if err != nil {
			return err
		}
		if head.Position > beyond {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
