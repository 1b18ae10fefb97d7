package query

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Bus routes queries to handlers by their Go type. Register everything before the
// first Ask; after that it may be used from any goroutine.
type Bus struct {
	middleware []Middleware
	handlers   map[reflect.Type]handler
	heads      []*Head
}

type handler struct {
	Registration
	call Handler
}

// NewBus returns an empty bus. The first middleware is the outermost.
func NewBus(middleware ...Middleware) *Bus {
	return &Bus{middleware: slices.Clone(middleware), handlers: map[reflect.Type]handler{}}
}

// HandleOption describes a handler.
type HandleOption func(*handler)

// Reads declares the read models that the handler answers from. Each call must open a
// reader of every one of them.
func Reads(models ...string) HandleOption {
	return func(h *handler) { h.Reads = append(h.Reads, models...) }
}

// Handle registers the handler of the queries of type Q under a name, the one that
// other processes use. It panics if the type or the name is taken, if Q is an interface
// (no question would ever reach the handler), or if handle is nil: those are mistakes in
// the program, found when it starts.
func Handle[Q, R any](bus *Bus, name string, handle func(ctx context.Context, question Q) (R, error), options ...HandleOption) {
	question := reflect.TypeFor[Q]()
	if question.Kind() == reflect.Interface {
		panic(fmt.Sprintf("query.Handle: %q: %v is an interface; questions are found by their own type", name, question))
	}
	if handle == nil {
		panic(fmt.Sprintf("query.Handle: %q has no function", name))
	}
	for taken, h := range bus.handlers {
		if taken == question || h.Name == name {
			panic(fmt.Sprintf("query.Handle: %q (%v) clashes with %q (%v)", name, question, h.Name, taken))
		}
	}
	h := handler{
		Registration: Registration{Name: name, Question: question, Answer: reflect.TypeFor[R]()},
		call: func(ctx context.Context, q any) (any, error) {
			typed, ok := q.(Q)
			if !ok {
				return nil, fmt.Errorf("middleware replaced the %v by a %T", question, q)
			}
			return handle(ctx, typed)
		},
	}
	for _, option := range options {
		option(&h)
	}
	h.call = bus.wrap(h)
	bus.handlers[question] = h
}

// Follow tells the bus of the logs that its read models follow, so that [MaxStale] can be
// asked for, and a [Freshness] can tell how old an answer is.
func (b *Bus) Follow(heads ...*Head) { b.heads = append(b.heads, heads...) }

// Names returns the names of the registered queries, sorted.
func (b *Bus) Names() []string {
	names := make([]string, 0, len(b.handlers))
	for _, h := range b.handlers {
		names = append(names, h.Name)
	}
	slices.Sort(names)
	return names
}

// Ask puts the question to its handler and returns the answer.
//
// With [After] the answer includes everything up to the tokens, and with [MaxStale] what was in
// the logs a while ago, or the call fails: with [*NotCaughtUpError] if a read model did not
// get there in time and [OrStale] does not allow for that, with
// [eventstore.ErrForeignToken] if no reader follows the token's store, with
// [eventstore.ErrDiverged] if that store has been rolled back since. The handler's own
// errors come back wrapped with the query's name. A handler that does not answer with
// an R is not called.
//
// A handler may Ask in its turn, with its ctx: what this call requires holds for the
// readers of that call too.
func Ask[R any](ctx context.Context, bus *Bus, question any, options ...AskOption) (R, error) {
	var none R
	h, ok := bus.handlers[reflect.TypeOf(question)]
	if !ok {
		return none, fmt.Errorf("no handler for query %T; registered are: %s", question, strings.Join(bus.Names(), ", "))
	}
	if want := reflect.TypeFor[R](); h.Answer != want && !h.Answer.AssignableTo(want) {
		return none, fmt.Errorf("query %s answers with %v, not %v", h.Name, h.Answer, want)
	}
	required, err := newRequirement(ctx, bus, h.Name, options)
	if err != nil {
		return none, fmt.Errorf("query %s: %w", h.Name, err)
	}
	answer, err := h.call(context.WithValue(ctx, requirementKey{}, required), question)
	if err == nil {
		err = required.checked()
	}
	if err != nil {
		return none, fmt.Errorf("query %s: %w", h.Name, err)
	}
	typed, fits := answer.(R)
	if isNil := answer == nil && h.Answer.Kind() == reflect.Interface; !fits && !isNil { // of a nil interface R is the zero one
		return none, fmt.Errorf("query %s: middleware replaced its %v by a %T", h.Name, h.Answer, answer)
	}
	required.tell()
	return typed, nil
}
