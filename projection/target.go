package projection

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// viewTarget applies windows of the log to a view's rows in a sink, those of one segment.
type viewTarget[R any] struct {
	view    *View[R]
	model   Model
	sink    Sink
	events  *codec.Set
	rules   map[reflect.Type][]*Rule[R]
	named   map[string]bool // types whose events touch the row of their stream and no other
	segment subscription.Segment
	parked  parkedKeys

	maxParked int // how many keys may be parked; with 0 the projection stops at the first
}

// newViewTarget returns a target of all keys.
func newViewTarget[R any](view *View[R], model Model, sink Sink, events *codec.Set) *viewTarget[R] {
	return &viewTarget[R]{
		view: view, model: model, sink: sink, events: events, rules: view.rulesByType(), named: view.keyedByStream(events), segment: subscription.Whole,
	}
}

func (t *viewTarget[R]) Checkpoint(ctx context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	return undivided(ctx, t.sink, t.model.Generation, source)
}

// Apply folds the window's events into their rows and commits them. A key whose row cannot be
// made is parked, and the window is folded again without it: each time from the stored rows,
// because a fold that failed may have done half of its work.
func (t *viewTarget[R]) Apply(ctx context.Context, w subscription.Window) error {
	if err := t.parked.refresh(ctx, t.sink, t.model.Generation, w.From); err != nil {
		return err
	}
	move := Move{From: w.From, To: w.To}
	for {
		changes, err := t.made(ctx, w, move.Park)
		var failed *keyError
		switch {
		case err == nil:
			return t.sink.Commit(ctx, t.model, move, changes)
		case !errors.As(err, &failed):
			return err
		}
		move.Park = slices.DeleteFunc(move.Park, func(p Parked) bool { return p.Key == failed.key })
		if err := failed.mayPark(t.maxParked, t.parked.in(t.segment)+len(move.Park), t.segment); err != nil {
			return err
		}
		move.Park = append(move.Park, failed.parked(time.Now()))
		move.To.Parks = w.From.Parks + 1
	}
}

// made returns what the window changes, but for the keys that are parked or to be parked.
func (t *viewTarget[R]) made(ctx context.Context, w subscription.Window, park []Parked) ([]Change, error) {
	batch, err := t.windowBatch(w)
	if err != nil {
		return nil, err
	}
	batch.leaveOut(t.parked.keys, park)
	if err := t.load(ctx, batch); err != nil {
		return nil, err
	}
	if err := t.fold(batch); err != nil {
		return nil, err
	}
	changes, err := t.changes(batch)
	if failed, ok := errors.AsType[*keyError](err); ok && t.maxParked > 0 {
		err = t.sinceWhen(ctx, w.Events, park, failed)
	}
	return changes, err
}

// sinceWhen returns the failure of a row that cannot be stored with the first event after which
// it cannot: what failed is the row that all of them made.
func (t *viewTarget[R]) sinceWhen(ctx context.Context, events []eventstore.Recorded, park []Parked, failed *keyError) error {
	b, err := t.loaded(ctx, events, failed.key)
	if err != nil {
		return err
	}
	b.leaveOut(nil, park)
	for n := range b.touches {
		one := &batch[R]{touches: b.touches[n : n+1], rows: []*row[R]{b.touches[n].row}}
		if err := t.fold(one); err != nil {
			return err
		}
		if _, err := t.changes(one); err != nil {
			return err
		}
	}
	return failed
}

// row is a row under way. One that does not exist is the zero R with its key.
type row[R any] struct {
	key    string
	value  R
	stored bool                 // in the sink, before the window
	exists bool                 // now
	last   *eventstore.Recorded // that touched it
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
	stored, err := t.sink.Load(ctx, t.model, b.keys())
	if err != nil {
		return fmt.Errorf("load rows: %w", err)
	}
	return t.set(b, stored)
}

func (b *batch[R]) keys() []string {
	keys := make([]string, len(b.rows))
	for n, r := range b.rows {
		keys[n] = r.key
	}
	return keys
}

// set gives the rows the values that are stored.
func (t *viewTarget[R]) set(b *batch[R], stored []Row) error {
	byKey := make(map[string]*row[R], len(b.rows))
	for _, r := range b.rows {
		byKey[r.key] = r
	}
	for _, s := range stored {
		r, asked := byKey[s.Key]
		if !asked {
			return fmt.Errorf("load rows: the sink returned row %q, which was not asked for", s.Key)
		}
		if err := t.view.mapping.decode(s, r.reflected()); err != nil {
			return fmt.Errorf("load rows: %w", err)
		}
		r.stored, r.exists = true, true
	}
	return nil
}

// fold applies the events to their rows, in order.
func (t *viewTarget[R]) fold(b *batch[R]) (err error) {
	var underWay *eventstore.Recorded
	var key string
	defer func() {
		if err != nil {
			err = &keyError{key, *underWay, err}
		}
	}()
	defer recoverAsEventError(&underWay, &err)
	settles := len(t.view.mapping.settled) > 0
	for n := range b.touches {
		touch := &b.touches[n]
		underWay, key = touch.m, touch.row.key
		touch.row.last = touch.m
		if touch.err != nil {
			return touch.err
		}
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
				return nil, &keyError{r.key, *r.last, fmt.Errorf("%w: %w", subscription.ErrPermanent, err)}
			}
			changes = append(changes, Change{Row: encoded})
		case r.stored:
			changes = append(changes, Change{Row: Row{Key: r.key}, Deleted: true})
		}
	}
	return changes, nil
}
