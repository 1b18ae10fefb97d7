package query

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Composable is a part of any type, for [Compose]. [Part] makes them.
type Composable interface {
	common() *part
	ask(ctx context.Context, done func(inTime bool))
}

// PartOf is a part of a composition: what is asked, and after [Compose] what came of it. It is
// for one composition.
type PartOf[T any] struct {
	part
	call  func(ctx context.Context) (T, error)
	value T // the fallback, until there is an answer
}

// part is what does not depend on the type of the answer.
type part struct {
	name     string
	timeout  time.Duration
	optional bool
	fallback any
	falls    bool // there is a fallback

	state    atomic.Int32
	required *requirement // what its readers saw
	left     time.Time    // when it is left behind; zero: not yet known
	err      error        // what it failed with
	over     error        // of its context then
	missing  Missing
}

// States of a part, in this order. Who moves it from asked has the say about its answer: the
// part by settling, the composition that goes on without it by stray.
const (
	idle int32 = iota
	taken
	asked
	settling
	stray
	settled  // its answer or error is there
	judged   // and the composition has seen it
	finished // the composition has ended, so Value may be read
)

// PartOption says how much a composition depends on a part.
type PartOption func(*part)

// Timeout ends the context of the part so long after it was begun. Default: it has as long as the
// composition.
func Timeout(most time.Duration) PartOption { return func(p *part) { p.timeout = most } }

// Optional lets the composition answer without the part. Default: a composition fails without it.
func Optional() PartOption { return func(p *part) { p.optional = true } }

// Fallback is the value of a part that is missing, which makes it optional. It must be of the
// type of the part, or [Part] panics. Beside a token that [After] requires the fallback is not
// more than that: nobody has looked whether it includes what the token stands for.
func Fallback(value any) PartOption {
	return func(p *part) { p.optional, p.falls, p.fallback = true, true, value }
}

// Part returns a part for [Compose]: ask is called once, in a goroutine of its own, and must
// return soon after its context has ended. The name says which part is missing, to clients too.
func Part[T any](name string, ask func(ctx context.Context) (T, error), options ...PartOption) *PartOf[T] {
	p := &PartOf[T]{part: part{name: name}, call: ask}
	for _, option := range options {
		option(&p.part)
	}
	if name == "" || ask == nil {
		panic(fmt.Sprintf("query.Part: %q: a part has a name and a function", name))
	}
	if p.falls {
		value, fits := p.fallback.(T)
		if isNil := p.fallback == nil && reflect.TypeFor[T]().Kind() == reflect.Interface; !fits && !isNil {
			panic(fmt.Sprintf("query.Part: %q: its fallback is a %T, not a %v", name, p.fallback, reflect.TypeFor[T]()))
		}
		p.value = value
	}
	return p
}

// Value returns the answer of the part and the zero Missing, or its fallback (the zero value if
// it has none) and why it is missing. It panics before the composition has ended.
func (p *PartOf[T]) Value() (T, Missing) {
	if p.state.Load() != finished {
		panic(fmt.Sprintf("query: part %q has no value: hand it to Compose and wait until that returns", p.name))
	}
	return p.value, p.missing
}

func (p *PartOf[T]) common() *part { return &p.part }

// ask calls the function. Its answer counts unless the composition has gone on without it.
func (p *PartOf[T]) ask(ctx context.Context, done func(inTime bool)) {
	call(ctx, p.call, func(answer T, err error) {
		inTime := p.state.CompareAndSwap(asked, settling)
		if inTime && err == nil {
			p.value = answer
		}
		if inTime {
			p.settle(err, ctx.Err())
		}
		done(inTime)
	})
}

// settle is called by who has the say.
func (p *part) settle(err, over error) {
	p.err, p.over = err, over
	p.state.Store(settled)
}

var errExited = errors.New("it ended its goroutine (runtime.Goexit)")

// call hands done what ask answers. That it panics or ends its goroutine is an error too.
func call[T any](ctx context.Context, ask func(ctx context.Context) (T, error), done func(T, error)) {
	var answer T
	err := errExited
	defer func() {
		if thrown := recover(); thrown != nil {
			err = &PanicError{thrown, debug.Stack()}
		}
		done(answer, err)
	}()
	answer, err = ask(ctx)
}
