package projection

import (
	"context"
	"fmt"
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// viewTarget applies windows of the log to a view's rows in a sink.
type viewTarget[R any] struct {
	view   *View[R]
	model  Model
	sink   Sink
	events *codec.Set
	rules  map[reflect.Type][]*Rule[R]
}

func newViewTarget[R any](view *View[R], model Model, sink Sink, events *codec.Set) *viewTarget[R] {
	return &viewTarget[R]{view: view, model: model, sink: sink, events: events, rules: view.rulesByType()}
}

func (t *viewTarget[R]) Checkpoint(ctx context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	return t.sink.Checkpoint(ctx, t.model.Generation, source)
}

func (t *viewTarget[R]) Apply(ctx context.Context, w subscription.Window) error {
	batch, err := t.batchOf(w.Events)
	if err != nil {
		return err
	}
	if err := t.load(ctx, batch); err != nil {
		return err
	}
	if err := t.fold(batch); err != nil {
		return err
	}
	changes, err := t.changes(batch)
	if err != nil {
		return err
	}
	return t.sink.Commit(ctx, t.model, Move{w.From, w.To}, changes)
}

// batchOf returns what the events do to which rows; nothing is loaded or folded yet.
func (t *viewTarget[R]) batchOf(events []eventstore.Recorded) (*batch[R], error) {
	decoded, err := t.decode(events)
	if err != nil {
		return nil, err
	}
	return t.touch(decoded)
}

// decoded is an event as a Go value. An upcast may turn one stored event into several.
type decoded struct {
	event any
	m     *eventstore.Recorded
}

func (t *viewTarget[R]) decode(events []eventstore.Recorded) ([]decoded, error) {
	all := make([]decoded, 0, len(events))
	for n := range events {
		m := &events[n]
		values, err := t.events.Decode(*m)
		if err != nil {
			return nil, &EventError{Event: *m, Err: err, Permanent: true}
		}
		for _, value := range values {
			all = append(all, decoded{value, m})
		}
	}
	return all, nil
}

// batch is the rows that a window touches, each once, and what touches them in order.
type batch[R any] struct {
	rows    []*row[R]
	touches []touch[R]
}

// row is a row under way. One that does not exist is the zero R with its key.
type row[R any] struct {
	key    string
	value  R
	stored bool // in the sink, before the window
	exists bool // now
}

// touch is one event on one row.
type touch[R any] struct {
	decoded
	rule *Rule[R]
	row  *row[R]
}

// touch asks the rules which rows the events touch.
func (t *viewTarget[R]) touch(events []decoded) (b *batch[R], err error) {
	var underWay *eventstore.Recorded
	defer recoverAsEventError(&underWay, &err)
	b = &batch[R]{touches: make([]touch[R], 0, len(events))}
	byKey := map[string]*row[R]{}
	for _, e := range events {
		underWay = e.m
		for _, rule := range t.rules[reflect.TypeOf(e.event)] {
			key := rule.key(e.event, e.m)
			if key == "" {
				continue
			}
			r, known := byKey[key]
			if !known {
				r = t.newRow(key)
				byKey[key] = r
				b.rows = append(b.rows, r)
			}
			b.touches = append(b.touches, touch[R]{e, rule, r})
		}
	}
	return b, nil
}

func (t *viewTarget[R]) newRow(key string) *row[R] {
	fresh := &row[R]{key: key}
	t.view.mapping.setKey(key, fresh.reflected())
	return fresh
}

func (r *row[R]) reflected() reflect.Value { return reflect.ValueOf(&r.value).Elem() }

// load sets the rows that the sink has.
func (t *viewTarget[R]) load(ctx context.Context, b *batch[R]) error {
	if len(b.rows) == 0 {
		return nil
	}
	keys := make([]string, len(b.rows))
	byKey := make(map[string]*row[R], len(b.rows))
	for n, r := range b.rows {
		keys[n] = r.key
		byKey[r.key] = r
	}
	rows, err := t.sink.Load(ctx, t.model, keys)
	if err != nil {
		return fmt.Errorf("load rows: %w", err)
	}
	for _, stored := range rows {
		r, asked := byKey[stored.Key]
		if !asked {
			return fmt.Errorf("load rows: the sink returned row %q, which was not asked for", stored.Key)
		}
		if err := t.view.mapping.decode(stored, r.reflected()); err != nil {
			return fmt.Errorf("load rows: %w", err)
		}
		r.stored, r.exists = true, true
	}
	return nil
}

// fold applies the events to their rows, in order.
func (t *viewTarget[R]) fold(b *batch[R]) (err error) {
	var underWay *eventstore.Recorded
	defer recoverAsEventError(&underWay, &err)
	settles := len(t.view.mapping.settled) > 0
	for n := range b.touches {
		touch := &b.touches[n]
		underWay = touch.m
		if touch.rule.fold == nil {
			touch.row.value = t.newRow(touch.row.key).value
			touch.row.exists = false
			continue
		}
		touch.rule.fold(&touch.row.value, touch.event, touch.m)
		touch.row.exists = true
		if settles {
			t.view.mapping.settle(touch.row.reflected())
		}
	}
	return nil
}

// changes returns what the sink has to write. A value that cannot be stored will not
// fit the next time either.
func (t *viewTarget[R]) changes(b *batch[R]) ([]Change, error) {
	changes := make([]Change, 0, len(b.rows))
	for _, r := range b.rows {
		switch {
		case r.exists:
			encoded, err := t.view.mapping.encode(r.key, r.reflected())
			if err != nil {
				return nil, fmt.Errorf("%w: %w", subscription.ErrPermanent, err)
			}
			changes = append(changes, Change{Row: encoded})
		case r.stored:
			changes = append(changes, Change{Row: Row{Key: r.key}, Deleted: true})
		}
	}
	return changes, nil
}
