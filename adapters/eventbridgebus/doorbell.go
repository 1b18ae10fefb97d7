package eventbridgebus

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

// Doorbell brings read models up to date when an event comes, from the event store itself. What is on
// the bus is never applied, so repeats, disorder and losses of the bus change nothing but the time
// at which a read model learns of an event.
//
// A process that runs all the time needs no doorbell: a [projection.Worker] is woken by the store. It is for a
// Lambda function, and for stores that cannot wake readers.
//
// [projection.Worker]: https://pkg.go.dev/github.com/leftfold/leftfold/projection#Worker
type Doorbell struct {
	// Log is what the read models are made from. Required.
	Log eventstore.LogReader
	// CatchUp brings them up to the head of Log, as projection.Runner.CatchUp does. It is called by one
	// goroutine at a time. Required.
	CatchUp func(ctx context.Context) error

	mu sync.Mutex
}

// Handle is a [Handler]. A replayed event rings no bell: the store has it.
func (d *Doorbell) Handle(ctx context.Context, event json.RawMessage) error {
	e, err := ParseEvent(event)
	if err != nil || e.Replay != "" {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	head, err := d.Log.Head(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("head of the log: %w", err)
	case head.Store != e.Message.Source:
		return fmt.Errorf("event of store %s, read models are made from %s: %w", e.Message.Source, head.Store, eventstore.ErrForeignToken)
	case head.Position < e.Message.Position:
		return fmt.Errorf("event at position %d, the log that is read is at %d: it is a replica that is behind", e.Message.Position, head.Position)
	}
	return d.CatchUp(ctx)
}
