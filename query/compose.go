package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Composer composes answers; see [Compose]. The zero value works. Use one for all compositions
// that ask the same services, from any goroutine.
type Composer struct {
	// Parallel is the most parts of a composition that run at a time; the others wait for their
	// turn, in their order. Default: 16.
	Parallel int

	// Strays is the most parts of one name that may run on after their compositions have ended,
	// because they ignore their context. While there are so many, further parts of the name are
	// not asked: they are missing ([ReasonBusy]). Default: 16.
	Strays int

	total  atomic.Int32 // of strays
	mu     sync.Mutex
	strays map[string]int // by the name of the part
}

const (
	defaultParallel = 16
	defaultStrays   = 16
)

// everyone is the composer of Compose.
var everyone Composer

// Compose asks the parts at the same time and returns when each has answered or is missing. It
// returns the parts that are missing, in their order, for the answer to name; none is nil.
// Each part then has its Value.
//
// A required part that fails ends the composition at once: the others are cancelled, and the
// error, a [*PartError], names it. A part that panics has failed.
//
// The answer is there before the deadline of ctx: the parts are given a tenth less of what is
// left, and at most 100 ms less, so that an answer without them is made and sent in time. Without
// a deadline, and without a [Timeout] of its own, a part may take for ever.
//
// Compose waits for its parts, which must return soon after their context has ended. One that
// has not 50 ms later (or half of what was kept back, if that is less) is a stray: it is missing,
// it runs on in its goroutine, and what it answers is dropped. How many there may be is for
// [Composer] to say; Compose uses one for the whole process.
//
// Within the handler of an [Ask] the parts are asked for what that requires, in their contexts, and
// those that are there include it of the stores that they follow. If a part is missing it may have
// been the one to follow the store of a token: the answer, which says that it is missing, does not
// fail for tokens and [Reads] that no other part met. [Freshness] tells of the parts that are there.
//
// It panics if a part is nil, has been composed before, or has the name of another: those are
// mistakes in the program.
func Compose(ctx context.Context, parts ...Composable) ([]Missing, error) {
	return everyone.Compose(ctx, parts...)
}

// Compose is like the function of that name, within the bounds of this composer.
func (c *Composer) Compose(ctx context.Context, parts ...Composable) ([]Missing, error) {
	take(parts)
	r := composition{Composer: c, parts: parts, came: make(chan struct{}, 1)}
	var cancel context.CancelFunc
	r.ctx, cancel, r.grace = kept(ctx)
	defer cancel()
	r.cancel = cancel
	r.run()
	return r.end(ctx)
}

// take makes the parts those of this composition.
func take(parts []Composable) {
	for n, p := range parts {
		if p == nil {
			panic(fmt.Sprintf("query.Compose: part %d is nil", n+1))
		}
		for _, other := range parts[:n] {
			if other.common().name == p.common().name {
				panic(fmt.Sprintf("query.Compose: two parts have the name %q", p.common().name))
			}
		}
		if !p.common().state.CompareAndSwap(idle, taken) {
			panic(fmt.Sprintf("query.Compose: part %q has been composed before; make a new one each time", p.common().name))
		}
	}
}

// What is kept back of the time until the deadline, and how long parts have to notice its end.
const (
	keptShare = 10
	mostKept  = 100 * time.Millisecond
	mostGrace = mostKept / 2
)

// kept returns the context of the parts, which ends before that of the answer.
func kept(ctx context.Context) (context.Context, context.CancelFunc, time.Duration) {
	deadline, ok := ctx.Deadline()
	if !ok {
		ctx, cancel := context.WithCancel(ctx)
		return ctx, cancel, mostGrace
	}
	keep := max(0, min(time.Until(deadline)/keptShare, mostKept))
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(-keep))
	return ctx, cancel, keep / 2
}

// composition is one call of Compose. Its fields are of that goroutine, but for running and came.
type composition struct {
	*Composer
	parts   []Composable
	ctx     context.Context
	cancel  context.CancelFunc
	grace   time.Duration
	running atomic.Int32
	came    chan struct{} // a part settled, and that cannot wait until all have
	timer   *time.Timer   // of the next part that is left behind
	failed  *PartError
}

// run asks all parts and waits for each until it settles or is left behind.
func (r *composition) run() {
	over := r.ctx.Done()
	for next := 0; ; {
		for ; next < len(r.parts) && r.running.Load() < r.parallel() && r.ctx.Err() == nil; next++ {
			r.begin(r.parts[next])
		}
		if r.running.Load() == 0 {
			break
		}
		select {
		case <-r.came:
			r.judge()
		case <-over:
			over = nil
			r.leaveBy(time.Now().Add(r.grace))
		case <-r.late():
			r.leave(time.Now())
		}
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	for _, p := range r.parts {
		if p := p.common(); p.state.Load() == taken { // its turn never came
			p.settle(fmt.Errorf("it was not asked: %w", r.ctx.Err()), r.ctx.Err())
		}
	}
	r.judge()
}

func (r *composition) parallel() int32 { return int32(cmp.Or(max(0, r.Parallel), defaultParallel)) }

// begin asks the part.
func (r *composition) begin(asks Composable) {
	p := asks.common()
	if !r.mayStray(p.name) {
		p.settle(errStrays, nil)
		r.judge()
		return
	}
	ctx, cancel := r.ctx, func() {}
	ctx, p.required = separate(ctx)
	if p.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, p.timeout)
		p.left = time.Now().Add(p.timeout + r.grace)
	}
	p.state.Store(asked)
	r.running.Add(1)
	if p.timeout > 0 {
		r.arm()
	}
	go asks.ask(ctx, func(inTime bool) {
		cancel()
		if inTime {
			r.settled(p)
		} else {
			r.strayed(p.name, -1)
		}
	})
}

// settled wakes the composition if it has something to do: a part failed or another waits for its
// turn, or this was the last one.
func (r *composition) settled(p *part) {
	urgent := p.err != nil || len(r.parts) > int(r.parallel())
	if r.running.Add(-1) > 0 && !urgent {
		return
	}
	select {
	case r.came <- struct{}{}:
	default: // it will look at all of them
	}
}

// judge takes in the parts that have settled, and ends the composition if one is missing that
// must not be.
func (r *composition) judge() {
	for _, p := range r.parts {
		p := p.common()
		if !p.state.CompareAndSwap(settled, judged) {
			continue
		}
		adopt(r.ctx, p.required, p.err == nil)
		if p.err != nil {
			r.miss(p)
		}
	}
}

// miss writes down why a part is missing.
func (r *composition) miss(p *part) {
	p.missing = Missing{Part: p.name, Reason: why(p.err, p.over), Err: p.err}
	if r.failed != nil && p.missing.Reason == ReasonCancelled {
		p.missing.Err = fmt.Errorf("%w, because of %w", p.err, r.failed)
	}
	if !p.optional && r.failed == nil {
		r.failed = &PartError{p.missing}
		r.cancel()
	}
}

// end lets the values be read.
func (r *composition) end(ctx context.Context) (missing []Missing, err error) {
	for _, p := range r.parts {
		p := p.common()
		p.state.Store(finished)
		if p.missing.Part != "" {
			missing = append(missing, p.missing)
		}
	}
	switch {
	case r.failed != nil:
		return nil, r.failed
	case len(missing) > 0 && errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err() // the caller has left
	case len(missing) > 0:
		excuse(ctx)
	}
	return missing, nil
}
