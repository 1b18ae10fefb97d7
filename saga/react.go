package saga

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Request is a command that a reaction asks for.
type Request struct {
	// Name is the one under which the command is handled, such as "shipment.prepare". Required.
	Name string
	// Payload is the command. It is recorded as encoding/json writes it. Required.
	Payload any
}

// ReactOptions describe a reaction.
type ReactOptions struct {
	// Events are the sets that hold the type of the event. Required.
	Events []*codec.Set
	// Since keeps history from being reacted to, see [Definition].Since.
	Since time.Time
	// Retry says how a command is tried again.
	Retry Retry
}

// Reaction answers events with commands. Make one with [React].
type Reaction = Type[struct{}]

// reaction is what a [Type] has in place of steps.
type reaction struct {
	to func(ctx context.Context, event any, m *eventstore.Recorded) ([]Request, error)
}

// React returns a choreography: each event of type E is answered with the commands that react returns.
// They are recorded before the first of them is dispatched, in an instance of their own whose id is
// that of the event. So react may look things up, and is called again for an event until its
// answer is recorded. For no commands nothing is recorded.
//
// The commands are requested at the same time, and there is no order to rely on among them, nor with those of
// other events: one that fails is tried again while the others go on. None of them may be refused: one that is refused is tried again, and then the instance
// is stuck. An error of react is tried three times within a second; then the event is parked and the
// others go on. One that wraps [eventstore.ErrStoreBusy] is tried until it passes.
//
// React panics on a mistake in the definition, as [Define] does; the name is as there.
func React[E any](name string, o ReactOptions, react func(ctx context.Context, event E, m eventstore.Recorded) ([]Request, error)) *Reaction {
	t := &Reaction{name: name, since: o.Since, retry: o.Retry.orDefault()}
	if err := t.reactTo(reflect.TypeFor[E](), o); err != nil {
		panic(fmt.Sprintf("saga.React(%q): %v", name, err))
	}
	if react == nil {
		panic(fmt.Sprintf("saga.React(%q): it has no function", name))
	}
	t.react = &reaction{to: func(ctx context.Context, event any, m *eventstore.Recorded) ([]Request, error) {
		return react(ctx, event.(E), *m)
	}}
	return t
}

func (t *Type[S]) reactTo(event reflect.Type, o ReactOptions) (err error) {
	if !validName.MatchString(t.name) {
		return errBadName
	}
	if t.events, err = codec.Merge(o.Events...); err != nil {
		return fmt.Errorf("its events: %w", err)
	}
	id := func(_ any, m *eventstore.Recorded) string { return m.ID.String() }
	if t.rules, err = rulesOf(t.events, []Rule[S]{{event: event, begins: true, id: id}}); err != nil {
		return err
	}
	t.records = aggregate.Define(t.name, t.fold, definitions...)
	return t.retry.check()
}

// pausesOfReaction are those between the tries of a reaction that fails.
var pausesOfReaction = []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}

// answer asks for the commands of an event, in the form in which they are recorded.
func (r *reaction) answer(ctx context.Context, event any, m *eventstore.Recorded) ([]send, error) {
	requests, err := r.to(ctx, event, m)
	for _, rest := range pausesOfReaction {
		if err == nil || ctx.Err() != nil || errors.Is(err, eventstore.ErrStoreBusy) {
			break
		}
		pause(ctx, rest)
		requests, err = r.to(ctx, event, m)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, eventstore.ErrStoreBusy):
		return nil, err
	default:
		return nil, &poison{err}
	}
	sends := make([]send, len(requests))
	for n, request := range requests {
		payload, err := encodeCommand(request.Payload)
		if err == nil {
			err = eventstore.ValidateName("command", request.Name)
		}
		if err != nil {
			return nil, &poison{fmt.Errorf("request %d: %w", n+1, err)}
		}
		sends[n] = send{request.Name, payload}
	}
	return sends, nil
}
