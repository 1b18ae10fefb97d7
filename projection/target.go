package projection

import (
	"context"
	"fmt"
	"reflect"
	"slices"

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
	rules  map[reflect.Type][]Rule[R]
}

func (t *viewTarget[R]) Checkpoint(ctx context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	return t.sink.Checkpoint(ctx, t.model.Generation, source)
}

func (t *viewTarget[R]) Apply(ctx context.Context, w subscription.Window) error {
	touches, keys, err := t.touches(w.Events)
	if err != nil {
		return err
	}
	rows, err := t.load(ctx, keys)
	if err != nil {
		return err
	}
	if err := t.foldAll(touches, rows); err != nil {
		return err
	}
	changes, err := t.changes(keys, rows)
	if err != nil {
		return err
	}
	return t.sink.Commit(ctx, t.model, Move{w.From, w.To}, changes)
}

// touch is one event on one row.
type touch[R any] struct {
	key   string
	rule  Rule[R]
	event any
	m     eventstore.Recorded
}

// touches decodes the events and returns what they touch in order, and the keys.
func (t *viewTarget[R]) touches(events []eventstore.Recorded) (touches []touch[R], keys []string, err error) {
	seen := map[string]bool{}
	for _, m := range events {
		found, err := t.touchesOf(m)
		if err != nil {
			return nil, nil, err
		}
		for _, touch := range found {
			if !seen[touch.key] {
				seen[touch.key] = true
				keys = append(keys, touch.key)
			}
			touches = append(touches, touch)
		}
	}
	return touches, keys, nil
}

func (t *viewTarget[R]) touchesOf(m eventstore.Recorded) (touches []touch[R], err error) {
	defer recoverAsEventError(m, &err)
	decoded, err := t.events.Decode(m)
	if err != nil {
		return nil, &EventError{Event: m, Err: err, Permanent: true}
	}
	for _, event := range decoded {
		for _, rule := range t.rules[reflect.TypeOf(event)] {
			if key := rule.key(event, m); key != "" {
				touches = append(touches, touch[R]{key, rule, event, m})
			}
		}
	}
	return touches, nil
}

// row is a row under way. A row that does not exist is the zero R with its key.
type row[R any] struct {
	value  R
	exists bool
}

func (t *viewTarget[R]) newRow(key string) *row[R] {
	fresh := &row[R]{}
	t.view.mapping.setKey(key, reflect.ValueOf(&fresh.value).Elem())
	return fresh
}

func (t *viewTarget[R]) load(ctx context.Context, keys []string) (map[string]*row[R], error) {
	rows := make(map[string]*row[R], len(keys))
	for _, key := range keys {
		rows[key] = t.newRow(key)
	}
	if len(keys) == 0 {
		return rows, nil
	}
	stored, err := t.sink.Load(ctx, t.model, keys)
	if err != nil {
		return nil, fmt.Errorf("load rows: %w", err)
	}
	for _, s := range stored {
		found := rows[s.Key]
		if err := t.view.mapping.decode(s, reflect.ValueOf(&found.value).Elem()); err != nil {
			return nil, fmt.Errorf("load rows: %w", err)
		}
		found.exists = true
	}
	return rows, nil
}

func (t *viewTarget[R]) foldAll(touches []touch[R], rows map[string]*row[R]) error {
	for _, touch := range touches {
		if err := t.fold(touch, rows[touch.key]); err != nil {
			return err
		}
	}
	return nil
}

// fold applies one event to its row.
func (t *viewTarget[R]) fold(touch touch[R], r *row[R]) (err error) {
	defer recoverAsEventError(touch.m, &err)
	if touch.rule.fold == nil {
		*r = *t.newRow(touch.key)
		return nil
	}
	touch.rule.fold(&r.value, touch.event, touch.m)
	r.exists = true
	return nil
}

func (t *viewTarget[R]) changes(keys []string, rows map[string]*row[R]) ([]Change, error) {
	changes := make([]Change, 0, len(keys))
	for _, key := range keys {
		r := rows[key]
		if !r.exists {
			changes = append(changes, Change{Row: Row{Key: key}, Deleted: true})
			continue
		}
		encoded, err := t.view.mapping.encode(key, reflect.ValueOf(&r.value).Elem())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", subscription.ErrPermanent, err)
		}
		changes = append(changes, Change{Row: encoded})
	}
	return changes, nil
}

// Fold returns the rows that the events give, in memory and by key: what a sink would
// hold after a projection from an empty read model. For tests and for checking rows.
func (v *View[R]) Fold(events *codec.Set, log []eventstore.Recorded) (map[string]R, error) {
	model, types, err := v.model(events)
	if err != nil {
		return nil, err
	}
	handled := slices.DeleteFunc(slices.Clone(log), func(m eventstore.Recorded) bool { return !slices.Contains(types, m.Type) })
	t := &viewTarget[R]{view: v, model: model, events: events, rules: v.rulesByType()}
	touches, keys, err := t.touches(handled)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]*row[R], len(keys))
	for _, key := range keys {
		rows[key] = t.newRow(key)
	}
	if err := t.foldAll(touches, rows); err != nil {
		return nil, err
	}
	folded := make(map[string]R, len(rows))
	for key, r := range rows {
		if r.exists {
			folded[key] = r.value
		}
	}
	return folded, nil
}
