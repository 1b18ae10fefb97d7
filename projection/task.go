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
	registration Registration
	generation   Generation
	sink         Checkpoints
	bind         func(events *codec.Set) (bound, error)
}

// Registration returns what the projection is made of.
func (t Task) Registration() Registration { return t.registration }

// Sink returns where it writes.
func (t Task) Sink() Checkpoints { return t.sink }

// bound is a task whose Go types have been resolved to stored event types.
type bound struct {
	model   Model
	query   eventstore.Query
	sink    Checkpoints
	divides bool                                   // into segments by key
	apart   bool                                   // versions may be there side by side
	prepare func(events []eventstore.Recorded) any // for all targets; nil: there is nothing to prepare
	// target applies what concerns the keys of a segment; so many of them may be parked.
	target func(segment subscription.Segment, maxParked int) subscription.Target
	// concerns reports whether an event is about a key.
	concerns func(event eventstore.Recorded, key string) (bool, error)
	// remake applies events to a parked key and makes the move.
	remake func(ctx context.Context, move Move, key string, events []eventstore.Recorded) error
	// audit compares rows with the log; nil: it has none.
	audit func(ctx context.Context, log eventstore.LogReader, o AuditOptions) (AuditReport, error)
}

// Into returns the task of keeping the view's rows in the sink. An event type that the
// view handles and the runner's Events do not hold is an error when the runner starts.
//
// A sink may keep a view of several stores, by a runner for each. One row must then be touched by
// events of one store only: what keeps two writers of a row apart is the checkpoint, and each
// store has its own.
func Into[R any](sink Sink, view *View[R]) Task {
	return Task{view.Registration(), view.generation, sink, func(events *codec.Set) (bound, error) {
		model, types, err := view.model(events)
		if err != nil {
			return bound{}, err
		}
		whole := newViewTarget(view, model, sink, events)
		return bound{
			model: model, query: eventstore.Types(types...), sink: sink, divides: true, apart: true,
			prepare:  func(recorded []eventstore.Recorded) any { return whole.prepare(recorded) },
			concerns: whole.concerns,
			remake:   whole.remake,
			target: func(segment subscription.Segment, maxParked int) subscription.Target {
				t := newViewTarget(view, model, sink, events)
				t.segment, t.maxParked = segment, maxParked
				return t
			},
			audit: func(ctx context.Context, log eventstore.LogReader, o AuditOptions) (AuditReport, error) {
				return audited(ctx, log, events, sink, view, o)
			},
		}, nil
	}}
}

// On returns the task of running the handler in the sink's transactions.
func On[Tx any](sink TxSink[Tx], handler *Handler[Tx]) Task {
	return Task{handler.Registration(), handler.model.Generation, sink, func(*codec.Set) (bound, error) {
		whole := &handlerTarget[Tx]{handler: handler, sink: sink, segment: subscription.Whole}
		return bound{
			model: handler.model, query: handler.query, sink: sink, divides: handler.key != nil, apart: handler.apart,
			concerns: whole.concerns,
			remake:   whole.remake,
			target: func(segment subscription.Segment, maxParked int) subscription.Target {
				return &handlerTarget[Tx]{handler: handler, sink: sink, segment: segment, maxParked: maxParked}
			},
		}, nil
	}}
}

// resolve looks up the events that the task handles.
func (t Task) resolve(events *codec.Set) (bound, error) {
	b, err := t.bind(events)
	if err != nil {
		return b, fmt.Errorf("%s: %w", t, err)
	}
	return b, nil
}

// open makes the sink ready for the task.
func (t Task) open(ctx context.Context, log eventstore.LogReader, b bound) (*building, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: read the head: %w", t, err)
	}
	if err := b.isAlone(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	if err := b.sink.Open(ctx, b.model, head.Identity); err != nil {
		return nil, fmt.Errorf("%s: open the sink: %w", t, err)
	}
	builds, err := b.sink.Builds(ctx, t.generation.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: open the sink: %w", t, err)
	}
	opened, _ := FindBuild(builds, t.generation)
	return &building{task: t, bound: b, log: log, source: head.Store, stage: opened.Stage}, nil
}

// isAlone refuses a handler beside another version of it that writes the same.
func (b bound) isAlone(ctx context.Context) error {
	if b.apart {
		return nil
	}
	builds, err := b.sink.Builds(ctx, b.model.Name)
	if err != nil {
		return fmt.Errorf("open the sink: %w", err)
	}
	if live, there := LiveBuild(builds); there && live.Generation != b.model.Generation {
		return fmt.Errorf("%w: %s is live, and a handler's versions write the same tables: go over to this one by projection.ResetHandler, or give each version tables of its own and say so by HandlerOptions.Apart", subscription.ErrPermanent, live.Generation)
	}
	return nil
}

// String returns the task's name, for errors.
func (t Task) String() string { return "projection " + t.generation.String() }

func (v *View[R]) rulesByType() map[reflect.Type][]*Rule[R] {
	rules := map[reflect.Type][]*Rule[R]{}
	for n := range v.rules {
		rule := &v.rules[n]
		rules[rule.event] = append(rules[rule.event], rule)
	}
	return rules
}

// keyedByStream returns the stored types whose events touch the row of their stream and no other,
// whatever is in them: all that an event may become is keyed so.
func (v *View[R]) keyedByStream(events *codec.Set) map[string]bool {
	named := map[string]bool{}
	if events == nil {
		return named
	}
	for event, rules := range v.rulesByType() {
		name, _ := events.NameFor(event)
		all := !slices.ContainsFunc(rules, func(r *Rule[R]) bool { return r.keyedBy != keyedByStream })
		for _, stored := range events.StoredAs(name) {
			others, known := named[stored]
			named[stored] = all && (others || !known)
		}
	}
	return named
}

// model resolves the view against the registered events. Its hash covers all that can
// be seen of the definition: columns, indexes, and which events go to which rows. It
// cannot see the body of a fold; a change there needs a new version too.
// Neither can it see the fields of a nested value. Types are all under which the events are stored:
// those of the past that an upcast turns into them belong to the definition too, for a view that
// has passed them by must be built anew.
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
		for _, stored := range events.StoredAs(name) {
			if stored != name {
				lines = append(lines, "from "+stored)
			}
			if !slices.Contains(types, stored) {
				types = append(types, stored)
			}
		}
	}
	return Model{Generation: v.generation, Columns: v.mapping.columns, Indexes: v.indexes, Hash: hashOf(lines...)}, types, nil
}
