package aggregate

import (
	"container/list"
	"fmt"
	"log/slog"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
)

const defaultCachedStates = 1000

// CacheOptions are those of [Repository.WithCache]. The zero value works.
type CacheOptions struct {
	// States is how many are kept; the one that was used longest ago makes room. Default: 1000.
	States int
	// Failed is told of a state that cannot be copied, and is not kept therefore. Default: it is
	// logged by slog.Default().
	Failed func(stream eventstore.StreamID, err error)
}

// cache keeps states between calls of Execute. A state is in it, or checked out by one call, which
// may change it: never both. Others who want it meanwhile load it.
type cache[S any] struct {
	limit  int
	copied func(*S) (S, error) // a copy for a decision, which may do with it what it likes
	failed func(eventstore.StreamID, error)

	mu     sync.Mutex
	recent *list.List // of cached[S], the last used first
	states map[eventstore.StreamID]*list.Element
}

type cached[S any] struct {
	stream eventstore.StreamID
	kept[S]
}

// WithCache returns a repository like r that keeps the states of the aggregates that it appended
// to last. Execute then decides on the kept state and appends without having read anything; if
// another writer was faster, it is a conflict like any other. Repositories made from this one
// share the cache.
//
// A kept state may be out of date, so nothing is believed because of it alone: an append is
// checked by the store as always, also for the life of the log; anything else, a refusal or a
// decision without events, is made again on what the log has by then. So it is with [NoRetry] and
// [ExpectVersion], from the start. [Repository.Load] and [ExecuteAll] do not use the cache.
//
// Only what the log has is kept: a state returns to the cache after the append has. A state with
// references (slices, maps, pointers) is copied for each decision: by its method Clone() S if it
// has one, else by encoding and decoding it, for which it must fulfil what [Type.FoldVersion] asks
// for. WithCache panics if neither is possible.
func (r *Repository[S, E]) WithCache(o CacheOptions) *Repository[S, E] {
	copied, err := copier[S]()
	if err != nil {
		panic(fmt.Sprintf("aggregate: the states of %q cannot be kept in a cache: %v", r.typ.category, err))
	}
	if o.States <= 0 {
		o.States = defaultCachedStates
	}
	if o.Failed == nil {
		o.Failed = func(stream eventstore.StreamID, err error) {
			slog.Default().Error("leftfold: a state is not kept in the cache", "stream", string(stream), "error", err)
		}
	}
	with := *r
	with.cache = &cache[S]{limit: o.States, copied: copied, failed: o.Failed, recent: list.New(), states: map[eventstore.StreamID]*list.Element{}}
	return &with
}

// checkOut takes the state out of the cache.
func (c *cache[S]) checkOut(stream eventstore.StreamID) (kept[S], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, found := c.states[stream]
	if !found {
		return kept[S]{}, false
	}
	return c.remove(at).kept, true
}

// giveBack keeps the state, unless one of a later version is there already.
func (c *cache[S]) giveBack(stream eventstore.StreamID, k kept[S]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, found := c.states[stream]; found {
		if at.Value.(cached[S]).version > k.version {
			return
		}
		c.remove(at)
	}
	c.states[stream] = c.recent.PushFront(cached[S]{stream, k})
	if c.recent.Len() > c.limit {
		c.remove(c.recent.Back())
	}
}

func (c *cache[S]) remove(at *list.Element) cached[S] {
	gone := c.recent.Remove(at).(cached[S])
	delete(c.states, gone.stream)
	return gone
}
