package query

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// AskOption says what an answer must satisfy.
type AskOption func(*requirement)

// After requires the answer to include everything up to the tokens, of which the
// zero ones require nothing. See [Wait] for how long that may take.
func After(tokens ...eventstore.Token) AskOption {
	return func(r *requirement) {
		for _, token := range tokens {
			if !token.IsZero() {
				r.tokens = append(r.tokens, token)
			}
		}
	}
}

// Wait bounds how long the read models may take to get there, each time a reader is
// asked. Default: 5 s; the context's own deadline ends the wait as well. Zero or less
// does not wait: the read models are there or the call fails.
func Wait(most time.Duration) AskOption {
	return func(r *requirement) { r.wait = most }
}

const defaultWait = 5 * time.Second

// requirement travels in the context from Ask to the readers.
type requirement struct {
	name   string       // the query's
	outer  *requirement // of the Ask whose handler asks this one
	tokens []eventstore.Token
	wait   time.Duration

	mu     sync.Mutex
	opened map[string]bool             // read models that a reader was opened on
	met    map[eventstore.StoreID]bool // stores whose token a reader has waited for
	waited time.Duration
	fresh  bool // the handler has answered as was required
}

type requirementKey struct{}

func newRequirement(ctx context.Context, name string, options []AskOption) *requirement {
	r := &requirement{name: name, wait: defaultWait, opened: map[string]bool{}, met: map[eventstore.StoreID]bool{}}
	r.outer, _ = ctx.Value(requirementKey{}).(*requirement)
	for _, option := range options {
		option(r)
	}
	return r
}

// honoured reports what the handler forgot.
func (r *requirement) honoured(reads []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, model := range reads {
		if !r.opened[model] {
			return fmt.Errorf("the handler declares that it reads %q but opened no reader of it", model)
		}
	}
	for _, token := range r.tokens {
		if !r.met[token.Store] {
			return fmt.Errorf("%w: no reader of this query follows the store of %s", eventstore.ErrForeignToken, token)
		}
	}
	r.fresh = true
	return nil
}

// checked returns why an answer may be stale that has come through middleware.
func (r *requirement) checked() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tokens) > 0 && !r.fresh {
		return errors.New("middleware answered in the place of the handler: whether that includes what After requires is not known")
	}
	return nil
}

func (r *requirement) open(model string, met ...eventstore.StoreID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[model] = true
	for _, store := range met {
		r.met[store] = true
	}
}

// ReadModel is what [Await] needs to know of a read model, on the node that answers.
type ReadModel interface {
	// Name is the projection's.
	Name() string
	// Applied returns how far the read model has applied the store's log: the zero token
	// if it has not started, or [eventstore.ErrForeignToken] if it does not follow that
	// store. What it covers must be visible to the reads that follow.
	Applied(ctx context.Context, store eventstore.StoreID) (eventstore.Token, error)
	// Changed returns a channel that is closed when Applied may have moved, or nil if the
	// node cannot tell. It saves time and nothing else: Await looks again after 1 ms,
	// slowing to 20 ms, because another process may have moved the read model.
	Changed() <-chan struct{}
}

// Await is for readers: it returns once the read model satisfies what [Ask] requires,
// and never nil before. Without a requirement in ctx it returns at once. Its errors are
// those of Ask, except that a token of a store which the model does not follow is left to
// the other readers of the query.
func Await(ctx context.Context, model ReadModel) error {
	required, _ := ctx.Value(requirementKey{}).(*requirement)
	for ; required != nil; required = required.outer {
		if err := required.await(ctx, model); err != nil {
			return err
		}
	}
	return nil
}

// Patience is for readers that wait for something else than a token: it returns ctx, ended when
// [Wait] says so if it is that of an [Ask].
func Patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if required, ok := ctx.Value(requirementKey{}).(*requirement); ok {
		return context.WithTimeout(ctx, required.wait)
	}
	return context.WithCancel(ctx)
}

// Required returns the tokens that [Ask] requires of the readers under ctx; nil if it requires
// none.
func Required(ctx context.Context) (tokens []eventstore.Token) {
	required, _ := ctx.Value(requirementKey{}).(*requirement)
	for ; required != nil; required = required.outer {
		tokens = append(tokens, required.tokens...)
	}
	return tokens
}

func (r *requirement) await(ctx context.Context, model ReadModel) error {
	r.open(model.Name())
	if len(r.tokens) == 0 {
		return nil
	}
	defer r.count(time.Now())
	if r.wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, r.wait)
		defer cancel()
		ctx = waiting
	}
	for _, token := range r.tokens {
		follows, err := r.awaitToken(ctx, model, token)
		if err != nil {
			return err
		}
		if follows {
			r.open(model.Name(), token.Store)
		}
	}
	return nil
}

// count adds up what has been waited since the start. Readers of one query may wait at a time.
func (r *requirement) count(start time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waited += time.Since(start)
}

// Bounds of the pause between two looks at a read model.
const (
	minPause = time.Millisecond
	maxPause = 20 * time.Millisecond
)

// awaitToken waits for one token. A token of a store that this model does not follow
// may be meant for another reader of the same query; Ask checks that one was found.
func (r *requirement) awaitToken(ctx context.Context, model ReadModel, token eventstore.Token) (follows bool, err error) {
	var at eventstore.Position // when last seen
	late := func(err error) error {
		return &NotCaughtUpError{Model: model.Name(), At: at, Want: token, Err: err}
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		changed := model.Changed() // before Applied, so that no move falls between
		applied, err := model.Applied(ctx, token.Store)
		switch {
		case isForeign(err):
			return false, nil
		case err != nil && ctx.Err() != nil:
			return true, late(ctx.Err())
		case err != nil:
			return true, fmt.Errorf("read the checkpoint of %s: %w", model.Name(), err)
		case applied.Store == token.Store && applied.Incarnation < token.Incarnation:
			// The store has begun a new life and the projection has not looked yet. Its
			// next step will either go on in that life or stop as diverged.
			at = applied.Position
		case applied.Store == token.Store: // else: it follows the store but has applied nothing yet
			if err := applied.Check(token); err != nil {
				return true, fmt.Errorf("%s: %w", model.Name(), err)
			}
			if applied.Position >= token.Position {
				return true, nil
			}
			at = applied.Position
		}
		if r.wait <= 0 {
			return true, late(context.DeadlineExceeded)
		}
		select {
		case <-ctx.Done():
			return true, late(ctx.Err())
		case <-changed:
		case <-time.After(pause):
		}
	}
}
