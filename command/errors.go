package command

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// ErrInvalidCommand says that a command is malformed: no state of the system would accept it.
var ErrInvalidCommand = errors.New("invalid command")

// UnknownCommandError says that a bus has no handler for a command.
type UnknownCommandError struct {
	GoType     reflect.Type // nil for a nil command
	Registered []Registration
}

func (e *UnknownCommandError) Error() string {
	for _, r := range e.Registered {
		if e.GoType == reflect.PointerTo(r.GoType) {
			return fmt.Sprintf("dispatch %s: got a pointer, %s is handled as a value of %s", e.GoType, r.Name, r.GoType)
		}
	}
	if len(e.Registered) == 0 {
		return fmt.Sprintf("dispatch %v: no handler; the bus has none at all", e.GoType)
	}
	return fmt.Sprintf("dispatch %v: no handler; the bus handles %s", e.GoType, list(e.Registered))
}

// ForbiddenError says that the principal may not send a command. See [Authorize].
type ForbiddenError struct {
	Principal string
	Err       error // the rule's
}

func (e *ForbiddenError) Error() string { return fmt.Sprintf("authorize %q: %v", e.Principal, e.Err) }

// Unwrap returns the error of the rule.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// PanicError is a panic in a handler, as an error. See [Recover].
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func list(registered []Registration) string {
	names := make([]string, len(registered))
	for n, r := range registered {
		names[n] = fmt.Sprintf("%s (%s)", r.Name, r.GoType)
	}
	return strings.Join(names, ", ")
}
