package projection

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Task is a projection together with the sink it writes to, for a [Runner]. Make one
// with [Into] or [On].
type Task struct {
	generation Generation
	bind       func(events *codec.Set) (bound, error)
}

// bound is a task whose Go types have been resolved to stored event types.
type bound struct {
	model   Model
	query   eventstore.Query
	sink    Checkpoints
	divides bool                                   // into segments by key
	prepare func(events []eventstore.Recorded) any // for all targets; nil: there is nothing to prepare
	target  func(segment subscription.Segment, parks bool) subscription.Target
}

// Into returns the task of keeping the view's rows in the sink. An event type that the
// view handles and the runner's Events do not hold is an error when the runner starts.
//
// A sink may keep a view of several stores, by a runner for each. One row must then be touched by
// events of one store only: what keeps two writers of a row apart is the checkpoint, and each
// store has its own.
func Into[R any](sink Sink, view *View[R]) Task {
	return Task{view.generation, func(events *codec.Set) (bound, error) {
		model, types, err := view.model(events)
		if err != nil {
			return bound{}, err
		}
		prepare := func(recorded []eventstore.Recorded) any {
			return newViewTarget(view, model, sink, events).prepare(recorded)
		}
		return bound{model, eventstore.Types(types...), sink, true, prepare, func(segment subscription.Segment, parks bool) subscription.Target {
			t := newViewTarget(view, model, sink, events)
			t.segment, t.parks = segment, parks
			return t
		}}, nil
	}}
}

// On returns the task of running the handler in the sink's transactions.
func On[Tx any](sink TxSink[Tx], handler *Handler[Tx]) Task {
	return Task{handler.model.Generation, func(*codec.Set) (bound, error) {
		return bound{handler.model, handler.query, sink, handler.key != nil, nil, func(segment subscription.Segment, _ bool) subscription.Target {
			return &handlerTarget[Tx]{handler, sink, segment}
		}}, nil
	}}
}

// open makes the sink ready for the task.
func (t Task) open(ctx context.Context, log eventstore.LogReader, events *codec.Set) (bound, eventstore.StoreID, error) {
	b, err := t.bind(events)
	if err != nil {
		return b, eventstore.StoreID{}, fmt.Errorf("%s: %w", t, err)
	}
	head, err := log.Head(ctx)
	if err != nil {
		return b, head.Store, fmt.Errorf("%s: read the head: %w", t, err)
	}
	if err := b.sink.Open(ctx, b.model, head.Identity); err != nil {
		return b, head.Store, fmt.Errorf("%s: open the sink: %w", t, err)
	}
	return b, head.Store, nil
}

// String returns the task's name, for errors.
func (t Task) String() string { return "projection " + t.generation.String() }

// undivided returns the checkpoint for a [Runner], which moves the one checkpoint of all keys.
func undivided(ctx context.Context, sink Checkpoints, of Generation, source eventstore.StoreID) (subscription.Checkpoint, error) {
	at, err := sink.Checkpoint(ctx, of, source)
	if err != nil || at.Segment == (subscription.Segment{}) {
		return at, err
	}
	if at.Segment != subscription.Whole {
		return at, fmt.Errorf("%w: the read model is divided into segments: run it by a projection.Worker", subscription.ErrPermanent)
	}
	roster, err := sink.Leases(of, source).Roster(ctx)
	if err == nil && len(roster.Segments) > 0 && roster.Segments[0].Holder == subscription.Inline {
		err = ErrInline
	}
	return at, err
}

func (v *View[R]) rulesByType() map[reflect.Type][]*Rule[R] {
	rules := map[reflect.Type][]*Rule[R]{}
	for n := range v.rules {
		rule := &v.rules[n]
		rules[rule.event] = append(rules[rule.event], rule)
	}
	return rules
}

// keyedByStream returns the stored types whose events touch the row of their stream, whatever
// is in them.
func (v *View[R]) keyedByStream(events *codec.Set) map[string]bool {
	named := map[string]bool{}
	if events == nil {
		return named
	}
	for event, rules := range v.rulesByType() {
		if name, ok := events.NameFor(event); ok {
			named[name] = !slices.ContainsFunc(rules, func(r *Rule[R]) bool { return r.keyedBy != keyedByStream })
		}
	}
	return named
}

// model resolves the view against the registered events. Its hash covers all that can
// be seen of the definition: columns, indexes, and which events go to which rows. It
// cannot see the body of a fold; a change there needs a new version too.
// Neither can it see the fields of a nested value.
func (v *View[R]) model(events *codec.Set) (model Model, types []string, err error) {
	if events == nil {
		return Model{}, nil, errors.New("a view needs the events it handles: set Runner.Events")
	}
	lines := []string{"view", v.generation.String(), strings.Join(v.indexes, ",")}
	for _, column := range v.mapping.columns {
		lines = append(lines, fmt.Sprintf("column %s %s %v", column.Name, column.Kind, column.Nullable))
	}
	for _, rule := range v.rules {
		name, ok := events.NameFor(rule.event)
		if !ok {
			return Model{}, nil, fmt.Errorf("it handles %v, which is not registered: add codec.Event[%v](…) to the events of the runner", rule.event, rule.event)
		}
		lines = append(lines, "rule "+name+" keyed by "+rule.keyedBy)
		if !slices.Contains(types, name) {
			types = append(types, name)
		}
	}
	return Model{Generation: v.generation, Columns: v.mapping.columns, Indexes: v.indexes, Hash: hashOf(lines...)}, types, nil
}
