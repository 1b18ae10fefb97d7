package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Handler is a projection that writes in the sink's own transaction of type Tx.
type Handler[Tx any] struct {
	model  Model
	query  eventstore.Query
	key    func(eventstore.Recorded) string // nil: the handler is not divided
	handle func(ctx context.Context, tx Tx, event eventstore.Recorded) error
}

// HandlerOptions describe a handler.
type HandlerOptions struct {
	// Version is the generation of what the handler writes, at least 1. A new version
	// starts at position 0; clearing what the old one wrote is the handler's business. Required.
	Version int
	// Query selects the events. Default: every event.
	Query eventstore.Query
	// Key names what an event is about, so that a [Worker] can divide the handler into segments:
	// order holds among the events of one key. What handle writes for an event must belong to
	// its key alone; else two segments write it at the same time, and what comes of that is
	// the handler's risk. Another key is another version: what segments have applied by the old
	// one says nothing of the new one. Default: the handler is one segment.
	Key func(event eventstore.Recorded) string
}

// NewHandler returns a projection that calls handle for each event, in log order. What
// handle writes through tx commits together with the checkpoint. An error rolls back
// the whole window, which is tried again a few times and then stops the projection with an
// [EventError]; an error that wraps [subscription.ErrPermanent], and a panic, stop it at
// once. handle must not keep tx, and neither keep nor change the event's bytes: other segments
// get the same event.
//
// Tx is what the sink's transactions are: pgx.Tx for the Postgres sink, *sql.Tx for the SQLite
// sink, *memory.Tx for the one in memory. handle may be called again for a window that was
// rolled back, and on another goroutine than the runner's, because a sink may commit several
// writers together. If it ends its goroutine (runtime.Goexit, t.FailNow) nothing is written.
// What it does outside tx happens at least once.
//
// NewHandler panics on a bad name, version or query.
func NewHandler[Tx any](name string, options HandlerOptions, handle func(ctx context.Context, tx Tx, event eventstore.Recorded) error) *Handler[Tx] {
	generation := Generation{Name: name, Version: options.Version}
	if err := errors.Join(generation.validate(), options.Query.Validate()); err != nil {
		panic(fmt.Sprintf("projection.NewHandler(%q): %v", name, err))
	}
	if handle == nil {
		panic(fmt.Sprintf("projection.NewHandler(%q): it has no function", name))
	}
	model := Model{Generation: generation, Hash: hashOf(definitionLines(generation, options)...)}
	return &Handler[Tx]{model: model, query: options.Query, key: options.Key, handle: handle}
}

// definitionLines are all that can be seen of a handler's definition, each name apart. Whether it
// has a key is among them: without one it would apply every event in each of the segments that
// it was divided into.
func definitionLines(generation Generation, options HandlerOptions) []string {
	lines := []string{"handler", generation.String()}
	if options.Key != nil {
		lines = append(lines, "keyed")
	}
	for _, item := range options.Query.Items {
		lines = append(lines, "item")
		for _, name := range item.Types {
			lines = append(lines, "type "+name)
		}
		for _, tag := range item.Tags {
			lines = append(lines, "tag "+string(tag))
		}
	}
	return lines
}

// handlerTarget applies windows of the log by a handler in a sink's transactions.
type handlerTarget[Tx any] struct {
	handler *Handler[Tx]
	sink    TxSink[Tx]
	segment subscription.Segment
}

func (t *handlerTarget[Tx]) Checkpoint(ctx context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	return undivided(ctx, t.sink, t.handler.model.Generation, source)
}

func (t *handlerTarget[Tx]) Apply(ctx context.Context, w subscription.Window) error {
	return t.sink.Transact(ctx, t.handler.model.Generation, Move{From: w.From, To: w.To}, func(ctx context.Context, tx Tx) error {
		return t.all(ctx, tx, w.Events)
	})
}

func (t *handlerTarget[Tx]) all(ctx context.Context, tx Tx, events []eventstore.Recorded) (err error) {
	var underWay *eventstore.Recorded
	defer recoverAsEventError(&underWay, &err)
	for n := range events {
		underWay = &events[n]
		if t.handler.key != nil && !t.segment.Holds(t.handler.key(*underWay)) {
			continue
		}
		if err := t.handler.handle(ctx, tx, *underWay); err != nil {
			return &EventError{Event: *underWay, Err: err, Permanent: errors.Is(err, subscription.ErrPermanent)}
		}
	}
	return nil
}
