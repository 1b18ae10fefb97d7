package eventbridgebus

import (
	"context"

	"github.com/leftfold/leftfold/eventstore"
)

var (
	_ eventstore.LogReader = Inbox{}
	_ eventstore.Notifier  = Inbox{}
)

// ReadLog implements [eventstore.LogReader]: the events that are in their place, in the order in which they
// came there, each stream in its own order.
func (i Inbox) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	read, err := i.Store.ReadLog(ctx, query)
	if err != nil {
		return nil, err
	}
	return eventstore.NewLogRead(*read, func(yield func(eventstore.Recorded, error) bool) {
		for event, err := range read.Events() {
			if err == nil && (event.Type == heldType || event.Type == skippedType) {
				continue
			}
			if !yield(event, err) {
				return
			}
		}
	}), nil
}

// Head implements [eventstore.LogReader].
func (i Inbox) Head(ctx context.Context) (eventstore.Token, error) { return i.Store.Head(ctx) }

// WaitAppended implements [eventstore.Notifier].
func (i Inbox) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	return eventstore.WaitAppended(ctx, i.Store, beyond)
}
