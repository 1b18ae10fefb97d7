package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/leftfold/leftfold/eventstore"
)

// DispatchOption modifies one call of [Bus.Dispatch].
type DispatchOption func(*Info)

// ID makes the command idempotent: dispatched again with the same id by the same
// principal, it takes no further effect and returns the first receipt. The id is the
// client's, such as the value of an Idempotency-Key header. Two commands are the same if
// their JSON is: fields that JSON leaves out are not compared. Default, also for an
// empty id: none, a repeat takes effect again.
func ID(id string) DispatchOption { return func(i *Info) { i.ID = id } }

// Principal says on whose behalf the command is dispatched. Ids of one principal do not
// touch those of another. Default: the principal of the command being handled, if a
// handler dispatches another; else none.
func Principal(principal string) DispatchOption { return func(i *Info) { i.Principal = principal } }

// Expect refuses the command with [eventstore.ErrVersionConflict] if the aggregate is not
// at the version, such as that of an If-Match header: what the user decided on is not what
// is there. The aggregate is the first one that the handler executes a decision on, with
// its context; a handler that makes none under an expected version fails, because the
// version went unchecked. A repeat under an [ID] is no conflict. Default: any version.
func Expect(v eventstore.Version) DispatchOption { return func(i *Info) { i.Expected = &v } }

// Dispatch hands the command, a value of a registered type, to its handler and returns
// the handler's receipt.
//
// A command dispatched by the handler of another, without an id of its own, is part of
// that other command: its appends are remembered under the other's id.
//
// Errors wrap the handler's and middleware's own. A command of a type that is not
// registered is an [UnknownCommandError]; one with an id that JSON cannot encode is
// [ErrInvalidCommand].
func (b *Bus) Dispatch(ctx context.Context, cmd any, options ...DispatchOption) (eventstore.Receipt, error) {
	route, found := b.routes[reflect.TypeOf(cmd)]
	if !found {
		return eventstore.Receipt{}, &UnknownCommandError{GoType: reflect.TypeOf(cmd), Registered: b.Commands()}
	}
	d, err := newDispatch(ctx, route.Name, cmd, options)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("dispatch %s: %w", route.Name, err)
	}
	receipt, err := route.handler(context.WithValue(ctx, dispatchKey{}, d), cmd)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("dispatch %s: %w", route.Name, err)
	}
	return receipt, nil
}

// Info is what is known about a command besides its payload.
type Info struct {
	Name      string
	ID        string // empty: it has none of its own
	Principal string
	Expected  *eventstore.Version // nil: any; see [Expect]
}

// InfoFrom returns the info of the command that is being handled, and whether there is
// one. It is for handlers and middleware.
func InfoFrom(ctx context.Context) (Info, bool) {
	d, ok := ctx.Value(dispatchKey{}).(dispatch)
	return d.Info, ok
}

// dispatch is a command under way.
type dispatch struct {
	Info
	hash eventstore.CommandHash
}

type dispatchKey struct{}

func newDispatch(ctx context.Context, name string, cmd any, options []DispatchOption) (dispatch, error) {
	outer, _ := InfoFrom(ctx)
	d := dispatch{Info: Info{Name: name, Principal: outer.Principal}}
	for _, option := range options {
		option(&d.Info)
	}
	if d.ID == "" {
		return d, nil
	}
	payload, err := canonicalJSON(cmd)
	if err != nil {
		return d, fmt.Errorf("%w: %w", ErrInvalidCommand, err)
	}
	d.hash = eventstore.HashCommand(name, payload)
	return d, nil
}

// inScope starts the scope in which the command's appends are counted and its expected
// version is checked, each time the handler is called. A scope made once, in Dispatch, would break a handler that
// appends to A and then to B: A is appended, B finds the store busy, middleware tries
// again, A is counted as the second append to A, gets a new id and is appended twice.
func inScope(next Handler) Handler {
	return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
		d, _ := ctx.Value(dispatchKey{}).(dispatch)
		if d.ID != "" {
			ctx = eventstore.WithCommand(ctx, d.Principal, d.ID, d.hash)
		}
		if d.Expected == nil {
			return next(ctx, cmd)
		}
		ctx = eventstore.WithExpected(ctx, *d.Expected)
		receipt, err := next(ctx, cmd)
		if _, unchecked := eventstore.TakeExpected(ctx); unchecked && err == nil {
			return eventstore.Receipt{}, fmt.Errorf("version %d was expected, and the handler did not check it: execute its decision with the handler's context and without ExpectVersion", *d.Expected)
		}
		return receipt, err
	}
}

// canonicalJSON encodes the command with the keys of every object sorted, so that
// reordering the fields of a Go struct does not make a repeat of an old command another
// command. Numbers keep their digits.
func canonicalJSON(cmd any) ([]byte, error) {
	encoded, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var generic any
	if err := decoder.Decode(&generic); err != nil {
		return nil, err
	}
	return json.Marshal(generic)
}
