package query

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Handler answers questions of any type. Those passed to [Handle] are typed; middleware sees
// this form.
type Handler func(ctx context.Context, question any) (any, error)

// Middleware wraps a handler, and the check that its answer is as fresh as was asked for. It
// must hand on a question of the same type, and an answer of the handler's. Where [After] requires
// something the handler must be asked: an answer without it fails the call.
type Middleware func(next Handler) Handler

// Info is what is known about a query that is being answered.
type Info struct {
	Name string
	// Waited is for how long readers have waited so far for read models to get there, those of
	// questions within this one too.
	Waited time.Duration
	// Freshness is how fresh what they have read so far is.
	Freshness Freshness
}

// InfoFrom returns the info of the query that is being answered, and whether there is one. It is
// for handlers and middleware.
func InfoFrom(ctx context.Context) (Info, bool) {
	r := requirementIn(ctx)
	if r == nil {
		return Info{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return Info{r.name, r.waited, r.freshness()}, true
}

// wrap returns the handler with the check of its answer and all middleware.
func (b *Bus) wrap(h handler) Handler {
	all := func(ctx context.Context, question any) (any, error) {
		answer, err := h.call(ctx, question)
		if err != nil {
			return nil, err
		}
		required := requirementIn(ctx)
		if required == nil {
			return nil, errors.New("middleware handed on another context: what is required of the answer is lost with it")
		}
		return answer, required.honoured(h.Reads)
	}
	for _, with := range slices.Backward(b.middleware) {
		all = with(all)
	}
	return all
}
