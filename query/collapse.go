package query

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

// Collapse lets callers who ask the same at the same time share one answer. The zero value
// works; use it from any goroutine. It remembers nothing: an answer is of those who wait for it.
type Collapse[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[collapseKey[K]]*collapsed[V]
}

// collapseKey tells apart callers who ask the same and require another freshness: an answer
// that was begun for less must not go to who requires more.
type collapseKey[K comparable] struct {
	question K
	required string
}

// collapsed is one call under way. Waiting is under the mutex, the answer is there once done is
// closed.
type collapsed[V any] struct {
	waiting  int
	cancel   context.CancelFunc
	required *requirement // what its readers met
	done     chan struct{}
	answer   V
	err      error
}

// Do returns what ask answers, or what another caller's ask with the same key does, if one is
// under way. At no time are there two for a key. Callers in handlers of [Ask] share an
// answer only if they require the same: the tokens, and where there are any, the [Wait] for them.
// It counts for each of them. The answer is one for all: do not change it. An error is one for
// all too; so is a panic, as a [*PanicError].
//
// A call may have begun before a caller came. So it may lack what that caller has just written,
// unless he requires it with After.
//
// A caller whose ctx ends leaves with its error, and the others go on; when the last has left,
// the context of the call ends. It has the values of the first caller's and no deadline. If ask
// ignores that it has ended, callers with the key wait until it returns, and ask then.
func (c *Collapse[K, V]) Do(ctx context.Context, key K, ask func(ctx context.Context) (V, error)) (V, error) {
	var none V
	for ctx.Err() == nil {
		shared, call := c.join(ctx, key, ask)
		select {
		case <-call.done:
			if shared {
				adopt(ctx, call.required, call.err == nil)
				return call.answer, call.err
			}
		case <-ctx.Done():
			if shared {
				c.leave(call)
			}
		}
	}
	return none, ctx.Err()
}

// join returns the call for the key, and whether the caller has a share in it: not if everybody
// had left it, and it is about to end.
func (c *Collapse[K, V]) join(ctx context.Context, question K, ask func(ctx context.Context) (V, error)) (shared bool, _ *collapsed[V]) {
	key := collapseKey[K]{question, fingerprint(ctx)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if under, ok := c.calls[key]; ok {
		if under.waiting == 0 {
			return false, under
		}
		under.waiting++
		return true, under
	}
	if c.calls == nil {
		c.calls = map[collapseKey[K]]*collapsed[V]{}
	}
	calling, required := separate(context.WithoutCancel(ctx))
	calling, cancel := context.WithCancel(calling)
	begun := &collapsed[V]{waiting: 1, cancel: cancel, required: required, done: make(chan struct{})}
	c.calls[key] = begun
	go call(calling, ask, func(answer V, err error) {
		cancel()
		begun.answer, begun.err = answer, err
		c.mu.Lock()
		delete(c.calls, key)
		c.mu.Unlock()
		close(begun.done)
	})
	return true, begun
}

func (c *Collapse[K, V]) leave(call *collapsed[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.waiting--; call.waiting == 0 {
		call.cancel()
	}
}

// fingerprint is the same for contexts that require the same.
func fingerprint(ctx context.Context) string {
	var text strings.Builder
	for r := requirementIn(ctx); r != nil; r = r.outer {
		if required := r.required(); len(required) > 0 || r.bounded {
			slices.SortFunc(required, func(a, b eventstore.Token) int { return strings.Compare(a.String(), b.String()) })
			_, _ = fmt.Fprintln(&text, required, r.bounded, r.wait, r.orStale)
		}
	}
	return text.String()
}
