package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// check is one clause under way on one store. It fails by ending its goroutine, not
// the test: so a hung store is noticed, and a mutant's failure is a success.
//
// Only the clause's own goroutine may call its methods that fail; racers return errors.
type check struct {
	ctx     context.Context
	store   eventstore.Store
	options Options
	open    func(t testing.TB) eventstore.Store
	onTest  chan func(testing.TB)
	verdict verdict
}

// verdict is the outcome of a clause; the zero value is a pass.
type verdict struct {
	failure string
	skipped string
}

// examine runs the clause on a fresh store.
func examine(t testing.TB, cl clause, open func(testing.TB) eventstore.Store, o Options) verdict {
	o = o.filled()
	ctx, cancel := context.WithTimeout(t.Context(), o.Timeout*4/5)
	defer cancel()
	c := &check{ctx: ctx, store: open(t), options: o, open: open, onTest: make(chan func(testing.TB))}
	done := make(chan verdict, 1)
	go c.run(cl, done)
	hung := time.NewTimer(o.Timeout)
	defer hung.Stop()
	for {
		select {
		case v := <-done:
			return v
		case job := <-c.onTest:
			job(t)
		case <-hung.C:
			return verdict{failure: fmt.Sprintf("hung for %v:\n%s", o.Timeout, stacks())}
		}
	}
}

func (c *check) run(cl clause, done chan<- verdict) {
	defer func() {
		if cause := recover(); cause != nil {
			c.verdict.failure = fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())
		}
		done <- c.verdict
	}()
	cl.check(c)
}

func stacks() []byte {
	text := make([]byte, 1<<20)
	return text[:runtime.Stack(text, true)]
}

// another opens a second store; reopened closes and opens the clause's own. Both run
// on the test's goroutine, because an adapter may call t.Fatal in them.
func (c *check) another() (store eventstore.Store) {
	c.runOnTest(func(t testing.TB) { store = c.open(t) })
	return store
}

func (c *check) reopen() {
	c.runOnTest(func(t testing.TB) { c.store = c.options.Reopen(t, c.store) })
}

func (c *check) runOnTest(job func(testing.TB)) {
	done := make(chan struct{})
	c.onTest <- func(t testing.TB) {
		defer close(done)
		job(t)
	}
	<-done
}

// rounds returns how often a torture of the size is to be repeated for this store.
func (c *check) rounds(size int) int { return max(1, size*Scale/c.options.Divisor) }

func (c *check) skip(why string) {
	c.verdict.skipped = why
	runtime.Goexit()
}

func (c *check) fatalf(format string, args ...any) {
	c.verdict.failure = caller() + ": " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// caller returns the line of the clause, not of the helpers it calls.
func caller() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		file := filepath.Base(frame.File)
		if !more || file != "check.go" && file != "steps.go" {
			return fmt.Sprintf("%s:%d", file, frame.Line)
		}
	}
}

// must fails the clause if a step that has to work does not.
func (c *check) must(err error, doing string, args ...any) {
	if err != nil {
		c.skipExcluded(err)
		c.fatalf("%s: %v", fmt.Sprintf(doing, args...), err)
	}
}

// is fails the clause unless the error matches the target.
func (c *check) is(err, target error, doing string, args ...any) {
	if !errors.Is(err, target) {
		c.skipExcluded(err)
		c.fatalf("%s: got error %v, want %q", fmt.Sprintf(doing, args...), err, target)
	}
}

// skipExcluded skips a clause that has met a part of the contract that the store excludes,
// and says so.
func (c *check) skipExcluded(err error) {
	refused, ok := errors.AsType[*eventstore.UnsupportedError](err)
	if !ok {
		return
	}
	if can, err := eventstore.CapabilitiesOf(c.ctx, c.store); err == nil && can.Excludes(refused.Part) {
		c.skip("the store excludes " + string(refused.Part))
	}
}

// equal fails the clause unless got is want.
func equal[T comparable](c *check, what string, got, want T) {
	if got != want {
		c.fatalf("%s: got %v, want %v", what, got, want)
	}
}
