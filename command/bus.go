package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// Handler handles commands of any type. Those passed to [Handle] are typed; middleware
// sees this form.
type Handler func(ctx context.Context, cmd any) (eventstore.Receipt, error)

// Middleware wraps a handler. It may call next more than once: each call is a fresh try
// of the same command.
type Middleware func(next Handler) Handler

// Bus routes commands to their handlers. Register every handler before the first
// Dispatch; after that the bus may be used by many goroutines.
type Bus struct {
	middleware []Middleware
	routes     map[reflect.Type]route
}

// route is one registered command.
type route struct {
	Registration
	handler Handler // with all middleware
}

// Registration describes a command that a bus handles.
type Registration struct {
	Name   string
	GoType reflect.Type
}

// NewBus returns a bus without handlers. The first middleware is the outermost.
func NewBus(middleware ...Middleware) *Bus {
	return &Bus{middleware: slices.Clone(middleware), routes: map[reflect.Type]route{}}
}

// Handle registers the handler of commands of type C. The name, such as
// "account.withdraw", is for logs, authorization and remote callers, and is part of
// what a command id is remembered with: renaming a command makes its repeats mismatches.
//
// It panics on a programming error: an empty name, a nil handler, a name or type
// registered before, a C that is an interface or a pointer.
func Handle[C any](bus *Bus, name string, handle func(ctx context.Context, cmd C) (eventstore.Receipt, error)) {
	registration := Registration{Name: name, GoType: reflect.TypeFor[C]()}
	if handle == nil {
		panic(fmt.Sprintf("command.Handle(%q): the handler is nil", name))
	}
	if err := bus.check(registration); err != nil {
		panic(fmt.Sprintf("command.Handle(%q): %v", name, err))
	}
	bus.add(registration, func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
		typed, ok := cmd.(C)
		if !ok {
			return eventstore.Receipt{}, fmt.Errorf("middleware replaced the %s by a %T", registration.GoType, cmd)
		}
		return handle(ctx, typed)
	})
}

// Commands returns what the bus handles, in the order of the names.
func (b *Bus) Commands() []Registration {
	registered := make([]Registration, 0, len(b.routes))
	for _, route := range b.routes {
		registered = append(registered, route.Registration)
	}
	slices.SortFunc(registered, func(a, b Registration) int { return cmp.Compare(a.Name, b.Name) })
	return registered
}

func (b *Bus) check(r Registration) error {
	if r.Name == "" {
		return errors.New("the name is empty")
	}
	if kind := r.GoType.Kind(); kind == reflect.Interface || kind == reflect.Pointer {
		return fmt.Errorf("%s is not a value type", r.GoType)
	}
	for _, known := range b.routes {
		if known.Name == r.Name {
			return fmt.Errorf("the name is taken by %s", known.GoType)
		}
		if known.GoType == r.GoType {
			return fmt.Errorf("%s is already handled as %q", r.GoType, known.Name)
		}
	}
	return nil
}

func (b *Bus) add(r Registration, handler Handler) {
	// Innermost, so that whatever middleware tries again starts a scope of its own.
	handler = inScope(handler)
	for _, wrap := range slices.Backward(b.middleware) {
		handler = wrap(handler)
	}
	b.routes[r.GoType] = route{r, handler}
}
