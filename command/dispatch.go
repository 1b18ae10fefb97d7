package command

import (
	"bytes"
	"cmp"
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
// their JSON is, see [Sent]: fields that JSON leaves out are not compared. Default, also for an
// empty id: none, a repeat takes effect again.
func ID(id string) DispatchOption { return func(i *Info) { i.ID = id } }

// Sent says which JSON the command was decoded from. Under an [ID] a repeat is then the same command if
// that is the same, but for the order of its fields: what is repeated as it was recorded stays the same
// command when a deploy gives its type another field. Default: the JSON of the command's value.
func Sent(payload []byte) DispatchOption { return func(i *Info) { i.sent = string(payload) } }

// Principal says on whose behalf the command is dispatched. Ids of one principal do not
// touch those of another. It is stored with every event as [eventstore.MetadataActor], for
// ever. Default: the principal of the command being handled, if a handler dispatches another;
// else none.
func Principal(principal string) DispatchOption { return func(i *Info) { i.Principal = principal } }

// Expect refuses the command with [eventstore.ErrVersionConflict] if the aggregate is not
// at the version, such as that of an If-Match header: what the user decided on is not what
// is there. The aggregate is the first one that the handler executes a decision on, with
// its context, commands that it dispatches with an id of their own left out; a handler that makes
// none under an expected version fails, because the version went unchecked. A repeat under an [ID] is no conflict. Default: any version.
func Expect(v eventstore.Version) DispatchOption { return func(i *Info) { i.Expected = &v } }

// Correlation puts the command into a conversation, such as that of the request which led to
// it. It is stored with every event as [eventstore.MetadataCorrelationID]. Default: the
// conversation of ctx, which is that of the command being handled, or of the event that
// [eventstore.CausedBy] names. Without one the command begins a new one; a repeat of a
// command with an id begins the same again.
func Correlation(id string) DispatchOption { return func(i *Info) { i.Correlation = id } }

// Dispatch hands the command, a value of a registered type, to its handler and returns
// the handler's receipt.
//
// A command dispatched by the handler of another, without an id of its own, is part of
// that other command: its appends are remembered under the other's id.
//
// The context of the handler carries metadata, which package aggregate stores with every event
// that is appended under it: the conversation, what caused the event, the principal and the
// command's name. The cause is that of ctx, if it has one: the event that
// [eventstore.CausedBy] names, or what caused the command being handled. Else it is the
// command itself, by its id; one without an id gets a new one for this.
//
// Errors wrap the handler's and middleware's own. A command of a type that is not
// registered is an [UnknownCommandError]. One with an id that JSON cannot encode, or with an id,
// a principal or a conversation of more than [eventstore.MaxNameBytes] bytes or not of printable
// UTF-8, is [ErrInvalidCommand], and no handler sees it.
func (b *Bus) Dispatch(ctx context.Context, cmd any, options ...DispatchOption) (eventstore.Receipt, error) {
	route, found := b.routes[reflect.TypeOf(cmd)]
	if !found {
		return eventstore.Receipt{}, &UnknownCommandError{GoType: reflect.TypeOf(cmd), Registered: b.Commands()}
	}
	d, err := newDispatch(ctx, route.Name, cmd, options)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("dispatch %s: %w", route.Name, err)
	}
	ctx = eventstore.WithMetadata(context.WithValue(ctx, dispatchKey{}, d), d.metadata())
	receipt, err := route.handler(ctx, cmd)
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
	// Correlation names the conversation, and Causation what caused the events of the command:
	// an event, or the command that began the conversation, by its id.
	Correlation, Causation string

	sent string // the JSON that it was decoded from; empty: nobody says
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
	of := eventstore.MetadataFrom(ctx)
	d := dispatch{Info: Info{
		Name: name, Principal: outer.Principal,
		Correlation: of[eventstore.MetadataCorrelationID], Causation: of[eventstore.MetadataCausationID],
	}}
	for _, option := range options {
		option(&d.Info)
	}
	if err := d.check(); err != nil {
		return d, fmt.Errorf("%w: %w", ErrInvalidCommand, err)
	}
	d.Info = d.begun()
	if d.ID == "" {
		return d, nil
	}
	payload, err := d.canonical(cmd)
	if err != nil {
		return d, fmt.Errorf("%w: %w", ErrInvalidCommand, err)
	}
	d.hash = eventstore.HashCommand(name, payload)
	return d, nil
}

// check refuses what cannot stand in the metadata of an event, before anything is done.
func (i Info) check() error {
	for _, name := range [...]struct{ what, value string }{
		{"command id", i.ID}, {"principal", i.Principal}, {"correlation id", i.Correlation}, {"causation id", i.Causation},
	} {
		if name.value == "" {
			continue
		}
		if err := eventstore.ValidateName(name.what, name.value); err != nil {
			return err
		}
	}
	return nil
}

// begun names the conversation and the cause of a command that has none. A command with an id
// may be killed between two appends and repeated, so both are made of that id alone: all of its
// events are of one conversation. Ids of two principals are not those of one command.
func (i Info) begun() Info {
	if i.Correlation != "" && i.Causation != "" {
		return i
	}
	cause, conversation := i.ID, eventstore.NewCommandID("conversation", i.Principal, i.ID).String()
	if i.ID == "" {
		cause = eventstore.NewEventID().String()
		conversation = cause
	}
	i.Causation = cmp.Or(i.Causation, cause)
	i.Correlation = cmp.Or(i.Correlation, conversation)
	return i
}

// metadata is what is stored with every event of the command.
func (i Info) metadata() eventstore.Metadata {
	m := eventstore.Metadata{
		eventstore.MetadataCorrelationID: i.Correlation,
		eventstore.MetadataCausationID:   i.Causation,
		eventstore.MetadataCommand:       i.Name,
	}
	if i.Principal != "" {
		m[eventstore.MetadataActor] = i.Principal
	}
	return m
}

// inScope starts the scope in which the command's appends are counted and its expected version is
// checked, each time the handler is called. A scope made once, in Dispatch, would break a handler
// that appends to A and then to B: A is appended, B finds the store busy, middleware tries again,
// A is counted as the second append to A, gets a new id and is appended twice.
func inScope(next Handler) Handler {
	return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
		d, _ := ctx.Value(dispatchKey{}).(dispatch)
		if d.ID != "" { // it is no part of a command that is being handled
			ctx = eventstore.WithoutExpected(eventstore.WithCommand(ctx, d.Principal, d.ID, d.hash))
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

// canonical returns the command's JSON with the keys of every object sorted, so that
// reordering the fields of a Go struct does not make a repeat of an old command another
// command. Numbers keep their digits.
func (i Info) canonical(cmd any) ([]byte, error) {
	encoded := []byte(i.sent)
	if len(encoded) == 0 {
		var err error
		if encoded, err = json.Marshal(cmd); err != nil {
			return nil, err
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var generic any
	if err := decoder.Decode(&generic); err != nil {
		return nil, err
	}
	return json.Marshal(generic)
}
