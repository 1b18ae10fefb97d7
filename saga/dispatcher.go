package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

// Command is what a saga asks of somebody.
type Command struct {
	// ID is the same however often the command is dispatched, and no other command has it: 32
	// hexadecimal digits.
	ID string
	// Name is that of [Send].
	Name string
	// Payload is the command as JSON, as it was recorded.
	Payload json.RawMessage
	// Began is the metadata of the event that began the instance, such as its trace context.
	Began eventstore.Metadata
}

// Dispatcher carries commands to those who handle them.
type Dispatcher interface {
	// Dispatch returns nil when the command has been handled, now or before. It may be called
	// again with the same command, also after it returned nil and while another call is under
	// way: then the command must not take effect again, which is what its id is for.
	//
	// An error that wraps [ErrRefused] says that the command was not handled and will not be: the
	// saga then does without it. Every other error leaves that open, and the command is
	// dispatched again later. ctx ends when the command has taken too long.
	Dispatch(ctx context.Context, c Command) error
}

// DispatcherFunc is a function as a [Dispatcher].
type DispatcherFunc func(ctx context.Context, c Command) error

// Dispatch calls the function.
func (f DispatcherFunc) Dispatch(ctx context.Context, c Command) error { return f(ctx, c) }

// ErrRefused says that a command was not handled and will not be, whoever sends it again.
var ErrRefused = errors.New("command was refused")

// Refused returns err as a refusal. Its text is kept with the instance, as the reason.
func Refused(err error) error { return &refusal{err} }

// MaxRetryAfter is the longest pause that is heeded of [RetryAfter].
const MaxRetryAfter = time.Hour

// RetryAfter returns err as one after which the command should not be tried again before so long, as
// whoever handles it asks: the pause is at least that, at most [MaxRetryAfter] of it.
func RetryAfter(err error, pause time.Duration) error { return &later{err, pause} }

type later struct {
	error

	pause time.Duration
}

func (l *later) Unwrap() error { return l.error }

// pauseAfter returns how long whoever handles the command asks to wait.
func pauseAfter(err error) time.Duration {
	if l, asked := errors.AsType[*later](err); asked {
		return min(max(l.pause, 0), MaxRetryAfter)
	}
	return 0
}

type refusal struct{ err error }

func (r *refusal) Error() string   { return r.err.Error() }
func (r *refusal) Unwrap() []error { return []error{ErrRefused, r.err} }

// ToBus returns a dispatcher to the handlers of a bus in this process. The commands must be
// handled there under the names that the saga gives them. The options go with each of them, such as
// [command.Principal].
//
// Refusals are: the decision of an aggregate against it ([aggregate.RefusedError]), what a handler
// returns as [Refused], a command that is malformed ([command.ErrInvalidCommand]), a stream that is
// deleted. Everything else is tried again, and then the instance is stuck: a command that the bus does
// not know, for a deploy may bring its handler, and one that the principal may not send
// ([command.ForbiddenError]), for that is a mistake of the configuration. httpapi.ToService does the
// same over HTTP, where its table of answers is.
//
// A repeat is the same command if its recorded payload is, also when a deploy has changed its type.
func ToBus(bus *command.Bus, options ...command.DispatchOption) Dispatcher {
	return &toBus{bus, options}
}

type toBus struct {
	bus     *command.Bus
	options []command.DispatchOption
}

func (d *toBus) Dispatch(ctx context.Context, c Command) error {
	decoded, err := d.decode(c)
	if err != nil {
		return err
	}
	options := slices.Concat(d.options, []command.DispatchOption{command.ID(c.ID), command.Sent(c.Payload)})
	if _, err = d.bus.Dispatch(ctx, decoded, options...); isRefusal(err) {
		return Refused(err)
	}
	return err
}

func isRefusal(err error) bool {
	if errors.Is(err, ErrRefused) { // the handler says so itself
		return true
	}
	if _, decided := errors.AsType[*aggregate.RefusedError](err); decided {
		return true
	}
	return errors.Is(err, command.ErrInvalidCommand) || errors.Is(err, eventstore.ErrStreamDeleted)
}

// decode returns the command as a value of the type that the bus handles under its name.
func (d *toBus) decode(c Command) (any, error) {
	for _, registered := range d.bus.Commands() {
		if registered.Name == c.Name {
			return decodeAs(registered.GoType, c)
		}
	}
	return nil, fmt.Errorf("dispatch %s: the bus handles no command of that name: register it with command.Handle", c.Name)
}
