package query

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// ReadModel is what [Await] needs to know of a read model.
type ReadModel interface {
	// Name is the projection's.
	Name() string
	// Look reads what the reader is going to answer with, and tells how far that has come. The
	// two must be of one node: a reader that asks one server how far it is, and then reads from
	// another, answers with less than it has seen.
	Look(ctx context.Context) (Seen, error)
	// Changed returns a channel that is closed when another look may see more, or nil if the
	// model cannot tell. It saves time and nothing else: Await looks again after 1 ms,
	// slowing to 20 ms, because another process may have moved the model.
	Changed() <-chan struct{}
}

// Seen is what a look has shown.
type Seen struct {
	// Applied is how far the read model has applied the log of each store that it follows.
	// Without any it has not started.
	Applied []eventstore.Token
	// Newest is up to where there may be something in it, for those stores of Applied with which
	// that is further: not all parts of a model are equally far. It becomes [Freshness].After.
	Newest []eventstore.Token
	// Late says that the model may not be read yet, whatever is required, and makes the error
	// for the case that this is so until the wait is over. nil: it may be read.
	Late func(over error) error
}

func (s Seen) of(store eventstore.StoreID) (eventstore.Token, bool) {
	n := slices.IndexFunc(s.Applied, func(t eventstore.Token) bool { return t.Store == store })
	if n < 0 {
		return eventstore.Token{}, false
	}
	return s.Applied[n], true
}

// Await is for readers: it looks at the read model until that satisfies what [Ask] requires, and
// never returns nil before. What the last look has read is the answer. Where nothing is required
// it looks once, or until the model may be read. Its errors are those of Ask and of Look, except
// that a token of a store which the model does not follow is left to the other readers of
// the query.
func Await(ctx context.Context, model ReadModel) error {
	required := requirementIn(ctx)
	for r := required; r != nil; r = r.outer {
		r.open(model.Name())
	}
	w := waiter{required: required, model: model}
	wait, bounded := required.patience()
	looking, cancel := ctx, context.CancelFunc(func() {})
	if bounded {
		looking, cancel = context.WithTimeout(ctx, wait)
	}
	defer cancel()
	changed := model.Changed() // before the look, so that no move falls between
	if enough, err := w.first(ctx, wait); enough || err != nil {
		return err
	}
	defer required.count(time.Now())
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		select {
		case <-looking.Done():
			return w.over(looking.Err(), ctx.Err() == nil)
		case <-changed:
		case <-time.After(pause):
		}
		changed = model.Changed()
		if enough, err := w.look(looking); enough || err != nil && looking.Err() == nil {
			return err
		}
	}
}

// leastLook is how long the first look may take, however short the wait is.
const leastLook = time.Second

// Bounds of the pause between two looks at a read model.
const (
	minPause = time.Millisecond
	maxPause = 20 * time.Millisecond
)

// patience returns how long readers wait, and whether there is a bound but the context's.
func (r *requirement) patience() (shortest time.Duration, bounded bool) {
	for q := r; q != nil; q = q.outer {
		if len(q.required()) > 0 && (!bounded || q.wait < shortest) {
			shortest, bounded = q.wait, true
		}
	}
	if !bounded && r != nil {
		return r.wait, true // for a model that may not be read yet
	}
	return shortest, bounded
}

// waiter is a reader that waits.
type waiter struct {
	required *requirement
	model    ReadModel

	seen Seen                   // by the last look that did not fail
	late func(over error) error // why that was not enough
}

// first looks for the first time. That may take longer than the wait, because a model is not late
// which only takes its time to be read; where nothing is required as long as ctx allows.
func (w *waiter) first(ctx context.Context, wait time.Duration) (enough bool, err error) {
	want := w.required.first()
	if want.IsZero() {
		return w.look(ctx)
	}
	short, cancel := context.WithTimeout(ctx, max(wait, leastLook))
	defer cancel()
	enough, err = w.look(short)
	if !enough && err != nil && short.Err() != nil && ctx.Err() == nil {
		err = &NotCaughtUpError{Model: w.model.Name(), Want: want, Err: fmt.Errorf("%w: %w", context.DeadlineExceeded, err)}
	}
	return enough, err
}

// look looks once. The wait may be over during it: then it is not enough, and no failure of the
// model.
func (w *waiter) look(ctx context.Context) (enough bool, err error) {
	seen, err := w.model.Look(ctx)
	if err != nil {
		return false, err
	}
	w.seen, w.late = seen, seen.Late
	for r := w.required; r != nil && w.late == nil; r = r.outer {
		if w.late, err = r.judge(w.model, seen); err != nil {
			return true, err
		}
	}
	if w.late != nil {
		return false, nil
	}
	w.accept()
	return true, nil
}

// over returns what becomes of a reader that was late: nothing, if what it has seen at last is
// allowed to be stale.
func (w *waiter) over(err error, callerWaits bool) error {
	mayBeStale := callerWaits && w.seen.Late == nil && len(w.seen.Applied) > 0
	for r := w.required; r != nil && mayBeStale; r = r.outer {
		late, failed := r.judge(w.model, w.seen)
		mayBeStale = failed == nil && (late == nil || r.orStale)
	}
	if mayBeStale {
		w.accept()
		return nil
	}
	return w.late(err)
}

func (w *waiter) accept() {
	for r := w.required; r != nil; r = r.outer {
		r.include(w.seen.Applied, w.seen.Newest)
	}
}

// first returns a token that is required; the zero one if there is none.
func (r *requirement) first() eventstore.Token {
	for ; r != nil; r = r.outer {
		if required := r.required(); len(required) > 0 {
			return required[0]
		}
	}
	return eventstore.Token{}
}

// judge returns nil if what was seen of a model is all that is required, else what makes the
// error for it. A token of a store that this model does not follow may be meant for another
// reader of the same query; Ask checks that one was found.
func (r *requirement) judge(model ReadModel, seen Seen) (late func(over error) error, err error) {
	if store, known := r.knows(seen.Applied); !known {
		return nil, fmt.Errorf("%w: %s follows store %s, and the bus does not know how far its log has come; give its head to Bus.Follow", ErrUnknownAge, model.Name(), store)
	}
	for n, token := range r.required() {
		applied, follows := seen.of(token.Store)
		if !follows && len(seen.Applied) > 0 {
			continue
		}
		isHead := n >= len(r.tokens)
		if isHead && applied.Incarnation > token.Incarnation {
			r.forget(token)
		}
		behind, err := lacks(applied, token, isHead)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", model.Name(), err)
		}
		if behind {
			return func(over error) error {
				return &NotCaughtUpError{Model: model.Name(), At: applied.Position, Want: token, Err: over}
			}, nil
		}
	}
	return nil, nil
}

// lacks reports whether a model that has come so far lacks something up to the token. A token
// of a life that has ended is an error, but not if it is a head that we have read a while ago.
func lacks(applied, token eventstore.Token, isHead bool) (bool, error) {
	switch {
	case applied.Store != token.Store: // it follows the store and has applied nothing yet
		return true, nil
	case applied.Incarnation < token.Incarnation:
		// The store has begun a new life and the projection has not looked yet. Its
		// next step will either go on in that life or stop as diverged.
		return true, nil
	case applied.Incarnation > token.Incarnation && isHead:
		return applied.Position < token.Position, nil
	}
	if err := applied.Check(token); err != nil {
		return false, err
	}
	return applied.Position < token.Position, nil
}

// forget drops a head of a life that has ended: the new one may be shorter.
func (r *requirement) forget(token eventstore.Token) {
	for _, head := range r.heads {
		head.forget(token.Identity)
	}
}

func (r *requirement) open(model string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[model] = true
}

// count adds up what has been waited since the start. Readers of one query may wait at a time.
func (r *requirement) count(start time.Time) {
	for ; r != nil; r = r.outer {
		r.mu.Lock()
		r.waited += time.Since(start)
		r.mu.Unlock()
	}
}
