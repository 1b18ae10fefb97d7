package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Handler is a projection that writes in the sink's own transaction of type Tx.
type Handler[Tx any] struct {
	model  Model
	query  eventstore.Query
	key    func(eventstore.Recorded) string // nil: the handler is not divided
	apart  bool
	handle func(ctx context.Context, tx Tx, event eventstore.Recorded) error
}

// HandlerOptions describe a handler.
type HandlerOptions struct {
	// Version is the generation of what the handler writes, at least 1. A new version
	// starts at position 0, and replaces the old one by [ResetHandler] unless it is Apart. Required.
	Version int
	// Apart says that nothing of what this version writes is read or written by another one: its
	// tables have the version in their names, say. Then a new version is built beside the live
	// one, as that of a view is, and replaces it when it has caught up. Default: it is refused while
	// another version is live.
	Apart bool
	// Query selects the events, by the types under which they are stored: codec.Set.StoredAs has
	// those that events of a type had in the past. Default: every event.
	Query eventstore.Query
	// Key names what an event is about, so that a [Worker] can divide the handler into segments:
	// order holds among the events of one key. What handle writes for an event must belong to
	// its key alone; else two segments write it at the same time, and what comes of that is
	// the handler's risk. And the worker parks the key of an event that fails, while the other keys
	// go on. A key is UTF-8 without NUL. Another key is another version: what segments have applied
	// by the old one says nothing of the new one. Default: the handler is one segment with one
	// order, and stops at an event that fails.
	Key func(event eventstore.Recorded) string
}

// NewHandler returns a projection that calls handle for each event, in log order. What
// handle writes through tx commits together with the checkpoint. An error rolls back
// the whole window, which is tried again a few times and then stops the projection with an
// [EventError]; an error that wraps [subscription.ErrPermanent], and a panic, stop it at
// once. One that wraps [eventstore.ErrStoreBusy] is tried again until it passes. handle must not
// keep tx, and neither keep nor change the event's bytes: other segments get the same event.
//
// With a Key, a [Worker] divides a window that fails until it has found the event at fault. That
// is tried three times within two seconds, if its error may pass, and then its key is parked: this
// event and all later ones of the key are left alone until [Retry] or [Skip], and the others go on.
//
// Tx is what the sink's transactions are: pgx.Tx for the Postgres sink, *sql.Tx for the SQLite
// sink, *memory.Tx for the one in memory. handle may be called again for a window that was
// rolled back, and on another goroutine than the runner's, because a sink may commit several
// writers together. If it ends its goroutine (runtime.Goexit, t.FailNow) nothing is written.
// What it does outside tx happens at least once. A command that it dispatches because of the event
// is of the same conversation under [eventstore.CausedBy]; give it an id made of the event's.
//
// NewHandler panics on a bad name, version or query.
func NewHandler[Tx any](name string, options HandlerOptions, handle func(ctx context.Context, tx Tx, event eventstore.Recorded) error) *Handler[Tx] {
	generation := Generation{Name: name, Version: options.Version}
	if err := errors.Join(generation.Validate(), options.Query.Validate()); err != nil {
		panic(fmt.Sprintf("projection.NewHandler(%q): %v", name, err))
	}
	if handle == nil {
		panic(fmt.Sprintf("projection.NewHandler(%q): it has no function", name))
	}
	model := Model{Generation: generation, Hash: hashOf(definitionLines(generation, options)...)}
	return &Handler[Tx]{model: model, query: options.Query, key: options.Key, apart: options.Apart, handle: handle}
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

// handlerTarget applies windows of the log by a handler in a sink's transactions, what concerns
// the keys of one segment.
type handlerTarget[Tx any] struct {
	handler *Handler[Tx]
	sink    TxSink[Tx]
	segment subscription.Segment
	parked  parkedKeys

	maxParked int // how many keys may be parked; with 0 the projection stops at the first
}

func (t *handlerTarget[Tx]) Checkpoint(ctx context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	return undivided(ctx, t.sink, t.handler.model.Generation, source)
}

// keyedEvent is an event of the segment, with its key if the handler has keys.
type keyedEvent struct {
	*eventstore.Recorded

	key string
}

// Apply handles the window in one transaction. If that fails and keys may be parked, the window
// is divided, each part with a move of its own, until the event is alone whose transaction
// fails. So what came before it is applied, and an error that shows only in the commit, or in a
// statement of the next event, is put down to the event that caused it.
func (t *handlerTarget[Tx]) Apply(ctx context.Context, w subscription.Window) error {
	events, err := t.keyed(w.Events)
	if err != nil {
		return err
	}
	_, err = t.apply(ctx, Move{From: w.From, To: w.To}, events)
	return err
}

// keyed returns the events of the segment. One whose key cannot be computed stops it.
func (t *handlerTarget[Tx]) keyed(events []eventstore.Recorded) (all []keyedEvent, err error) {
	var underWay *eventstore.Recorded
	defer recoverAsEventError(&underWay, &err)
	all = make([]keyedEvent, 0, len(events))
	for n := range events {
		underWay = &events[n]
		key := ""
		if t.handler.key != nil {
			if key = t.handler.key(*underWay); !t.segment.Holds(key) {
				continue
			}
		}
		all = append(all, keyedEvent{underWay, key})
	}
	return all, nil
}

// apply makes the move, and returns the checkpoint that it has come to.
func (t *handlerTarget[Tx]) apply(ctx context.Context, move Move, events []keyedEvent) (subscription.Checkpoint, error) {
	if err := t.parked.refresh(ctx, t.sink, t.handler.model.Generation, move.From); err != nil {
		return move.From, err
	}
	events = slices.DeleteFunc(slices.Clone(events), func(e keyedEvent) bool { return t.parked.has(e.key, e.Position) })
	err := t.transact(ctx, move, events)
	switch {
	case err == nil:
		return move.To, nil
	case t.maxParked == 0 || t.handler.key == nil || len(events) == 0 || !isOfEvent(ctx, err):
		return move.From, err
	case len(events) == 1:
		return t.park(ctx, move, events[0], err)
	}
	cut := cutBefore(events, err)
	first := move
	first.To = move.From
	first.To.Source = move.To.Source
	first.To.Anchor = eventstore.Anchor{Position: events[cut-1].Position, EventID: events[cut-1].ID}
	at, err := t.apply(ctx, first, events[:cut])
	if err != nil {
		return at, err
	}
	rest := Move{From: at, To: at}
	rest.To.Anchor = move.To.Anchor
	return t.apply(ctx, rest, events[cut:])
}

// cutBefore returns where to divide events that fail: before the one that the error names,
// behind it if it is the first, and in the middle if nobody knows.
func cutBefore(events []keyedEvent, err error) int {
	failed, named := errors.AsType[*EventError](err)
	if !named {
		return len(events) / 2
	}
	at := slices.IndexFunc(events, func(e keyedEvent) bool { return e.Position == failed.Event.Position })
	return max(at, 1)
}

// isOfEvent reports whether an error may be the fault of an event: it is not the end of ctx, not
// somebody else's move, nothing that passes, and nothing that the sink itself calls permanent.
func isOfEvent(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, subscription.ErrStale) || errors.Is(err, eventstore.ErrStoreBusy) {
		return false
	}
	_, named := errors.AsType[*EventError](err)
	return named || !errors.Is(err, subscription.ErrPermanent)
}

// park parks the key of an event that fails alone, unless it succeeds when it is tried again: so
// often, and for so long, as a subscription tries.
func (t *handlerTarget[Tx]) park(ctx context.Context, move Move, event keyedEvent, err error) (subscription.Checkpoint, error) {
	for _, pause := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond} {
		if errors.Is(err, subscription.ErrPermanent) {
			break
		}
		select {
		case <-ctx.Done():
			return move.From, ctx.Err()
		case <-time.After(pause):
		}
		if err = t.transact(ctx, move, []keyedEvent{event}); err == nil {
			return move.To, nil
		}
		if !isOfEvent(ctx, err) {
			return move.From, err
		}
	}
	failed := &keyError{event.key, *event.Recorded, err}
	if err := failed.mayPark(t.maxParked, t.parked.in(t.segment), t.segment); err != nil {
		return move.From, err
	}
	move.Park = []Parked{failed.parked(time.Now())}
	move.To.Parks++
	return move.To, t.transact(ctx, move, nil)
}

// transact has the handler handle the events in the transaction of the move.
func (t *handlerTarget[Tx]) transact(ctx context.Context, move Move, events []keyedEvent) error {
	return t.sink.Transact(ctx, t.handler.model.Generation, move, func(ctx context.Context, tx Tx) error {
		return t.all(ctx, tx, events)
	})
}

func (t *handlerTarget[Tx]) all(ctx context.Context, tx Tx, events []keyedEvent) (err error) {
	var underWay *eventstore.Recorded
	defer recoverAsEventError(&underWay, &err)
	for _, e := range events {
		underWay = e.Recorded
		if err := t.handler.handle(ctx, tx, *underWay); err != nil {
			return &EventError{Event: *underWay, Err: err, Permanent: errors.Is(err, subscription.ErrPermanent)}
		}
	}
	return nil
}

// concerns reports whether the event is of the key.
func (t *handlerTarget[Tx]) concerns(event eventstore.Recorded, key string) (bool, error) {
	keyed, err := t.keyed([]eventstore.Recorded{event})
	return err == nil && len(keyed) == 1 && keyed[0].key == key, err
}

// remake handles the events of a parked key in the transaction of the move.
func (t *handlerTarget[Tx]) remake(ctx context.Context, move Move, _ string, events []eventstore.Recorded) error {
	keyed, err := t.keyed(events)
	if err != nil {
		return err
	}
	return t.transact(ctx, move, keyed)
}
