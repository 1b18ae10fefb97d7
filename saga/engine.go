package saga

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Store is where the instances of sagas live.
type Store interface {
	aggregate.Store
	eventstore.LogReader
}

// engine runs the instances of one saga, of any state.
type engine interface {
	// observations returns what an event tells to which instances.
	observations(source eventstore.StoreID, m *eventstore.Recorded) ([]told, error)
	// tell makes an instance decide. Told again under the same id it does nothing. An error that is
	// a [poison] concerns this instance alone.
	tell(ctx context.Context, instance, id string, what record) error
	// request returns the command of a request, and whether its result is still wanted.
	request(ctx context.Context, instance string, r commandRequested) (Command, bool, error)
}

// told is something that an instance is told.
type told struct {
	instance string // the id part of its stream
	id       string // of the telling
	// what asks what that is; nil: nothing.
	what func(ctx context.Context) (record, error)
}

// poison is an error that trying again does not cure and that only one instance is concerned by.
type poison struct{ err error }

func (p *poison) Error() string { return p.err.Error() }
func (p *poison) Unwrap() error { return p.err }

func isPoison(err error) bool {
	_, is := errors.AsType[*poison](err)
	return is
}

// running is a type at work on a store.
type running[S any] struct {
	*Type[S]

	store     aggregate.Store
	instances *aggregate.Repository[instance[S], record]
	now       func() time.Time
	fault     func(Point)
	decided   func(instance string, records []record) // nil: nobody is told
}

func (t *Type[S]) on(store aggregate.Store, now func() time.Time, fault func(Point)) *running[S] {
	// Twenty events for one instance at a time are no reason to give up.
	instances := aggregate.NewRepository(store, t.records).WithOptions(aggregate.Options{MaxAttempts: 50})
	return &running[S]{Type: t, store: store, instances: instances, now: now, fault: fault}
}

func (r *running[S]) observations(source eventstore.StoreID, m *eventstore.Recorded) (all []told, err error) {
	defer recoverAsPoison(&err)
	values, err := r.events.Decode(*m)
	if err != nil {
		return nil, &poison{err}
	}
	for part, value := range values {
		rule := r.rules[typeOf(value)]
		if rule == nil {
			continue // an old event stands for several, and the saga is told some of them
		}
		id := rule.id(value, m)
		if id == "" || rule.begins && m.RecordedAt.Before(r.since) {
			continue
		}
		o, err := observe(r.events, source, m, part, value)
		if err != nil {
			return nil, &poison{err}
		}
		o.Begins, o.At = rule.begins, r.now().UTC()
		if r.react != nil && part > 0 {
			id = o.key()
		}
		all = append(all, told{id, "event " + o.key(), func(ctx context.Context) (record, error) { return r.asked(ctx, o, value, m) }})
	}
	return all, nil
}

// asked returns the observation, with the answer of a reaction.
func (r *running[S]) asked(ctx context.Context, o observed, value any, m *eventstore.Recorded) (what record, err error) {
	if r.react == nil {
		return o, nil
	}
	defer recoverAsPoison(&err)
	if o.Sends, err = r.react.answer(ctx, value, m); err != nil || len(o.Sends) == 0 {
		return nil, err
	}
	return o, nil
}

func (r *running[S]) tell(ctx context.Context, id, as string, what record) (err error) {
	defer recoverAsPoison(&err)
	stream := r.Stream(id)
	r.fault(BeforeTelling)
	var decided []record
	receipt, err := r.instances.Execute(ctx, id, func(in instance[S]) (all []record, err error) {
		decided, err = r.decide(stream, in, what)
		return decided, err
	}, aggregate.CommandID(as))
	switch {
	case errors.Is(err, errNothing):
		return nil
	case errors.Is(err, eventstore.ErrStreamDeleted):
		return poisonous(r.forget(ctx, what))
	}
	r.fault(AfterTelling)
	if err == nil && !receipt.Repeated && r.decided != nil {
		r.decided(id, decided)
	}
	return poisonous(err)
}

// forget takes the timer of an instance that is deleted out of the view. Nothing can be appended to that stream
// any more, so the record stands in one of the timer's own.
func (r *running[S]) forget(ctx context.Context, what record) error {
	fired, is := what.(timerFired)
	if !is {
		return nil
	}
	cancelled, err := records.Encode(timerCancelled{fired.ID})
	if err != nil {
		return err
	}
	_, err = r.store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream:   eventstore.NewStreamID(r.name+"_forgotten", fired.ID),
		Expected: eventstore.NoStream, Events: []eventstore.EventData{cancelled},
	}}})
	if errors.Is(err, eventstore.ErrVersionConflict) {
		return nil // it is being forgotten already
	}
	return err
}

func (r *running[S]) request(ctx context.Context, id string, requested commandRequested) (c Command, wanted bool, err error) {
	defer recoverAsPoison(&err)
	in, _, err := r.instances.Load(ctx, id)
	switch {
	case errors.Is(err, eventstore.ErrStreamDeleted):
		return Command{}, false, nil
	case err == nil:
		err = in.broken
		if err != nil {
			err = &poison{err}
		}
	}
	if err != nil {
		return Command{}, false, poisonous(err)
	}
	at := in.commands[requested.ID]
	wanted = at.status == open && at.Attempt == requested.Attempt && r.needs(&in, at)
	return r.command(&in, at.commandRequested), wanted, nil
}

// poisonous marks the errors that are of one instance: it cannot be folded, it decides what cannot
// be recorded, or its id cannot be that of a stream.
func poisonous(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, eventstore.ErrDiverged) {
		// Not wrapped: of the source it would say that it has diverged.
		return fmt.Errorf("the store of the instances has changed under its readers, and is tried again: %v", err)
	}
	_, decided := errors.AsType[*aggregate.RefusedError](err)
	_, undecodable := errors.AsType[*codec.DecodeError](err)
	_, newer := errors.AsType[*codec.SchemaVersionError](err)
	if decided || undecodable || newer || errors.Is(err, codec.ErrUnknownType) ||
		errors.Is(err, eventstore.ErrInvalid) {
		return &poison{err}
	}
	if errors.Is(err, eventstore.ErrTooLarge) {
		return &poison{fmt.Errorf("the instance keeps a copy of what it is told, which does not fit into an event of its stream beside what it decides: make the event smaller: %w", err)}
	}
	return err
}

func recoverAsPoison(err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = &poison{fmt.Errorf("panic: %w", p)}
	default:
		*err = &poison{fmt.Errorf("panic: %v", p)}
	}
}

const maxReasonBytes = 2000

// reasonOf returns the text of an error that any store and any sink can keep.
func reasonOf(err error) string {
	text := err.Error()
	text = text[:min(len(text), maxReasonBytes)]
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
