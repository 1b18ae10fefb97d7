package query

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Freshness says how fresh an answer is.
type Freshness struct {
	// Includes is up to where the answer includes everything, for each store that the read
	// models follow which it was read from. Parked keys lag behind that.
	Includes []eventstore.Token
	// After makes the next answer no older than this one: ask for it after these tokens. They
	// are those of Includes unless the answer was read from models, or parts of one, that were not
	// equally far.
	After []eventstore.Token
	// Missing is what was required and is not included: the answer is stale. See [OrStale].
	Missing []eventstore.Token
	// AsOf is a moment, as far as is known the last one, of which this is certain: what was in
	// the logs then is included. The zero time: the bus has not looked at the logs since
	// before, or has no head of one. See [Bus.Follow].
	AsOf time.Time
}

// Stale reports whether the answer lacks something that was required.
func (f Freshness) Stale() bool { return len(f.Missing) > 0 }

// report is what readers have seen.
type report struct {
	seen   []eventstore.Token // the first is the lowest of its store, see add
	newest []eventstore.Token
}

// Include is for readers that answer from elsewhere, such as another service which was asked
// after the tokens that are [Required]: it says what their answer includes. One that includes less
// fails the call, unless [OrStale] allows for that.
func Include(ctx context.Context, model string, applied ...eventstore.Token) {
	for r := requirementIn(ctx); r != nil; r = r.outer {
		r.open(model)
		r.include(applied, nil)
	}
}

// include notes how far a model had come that was read, and its parts at most.
func (r *requirement) include(applied, newest []eventstore.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, token := range applied {
		if token.Store == (eventstore.StoreID{}) {
			continue
		}
		r.met[token.Store] = true
		r.report.seen = keep(r.report.seen, token, func(old eventstore.Token) bool { return before(token, old) })
	}
	for _, token := range slices.Concat(applied, newest) {
		if token.Store == (eventstore.StoreID{}) {
			continue
		}
		r.report.newest = keep(r.report.newest, token, func(old eventstore.Token) bool { return before(old, token) })
	}
}

// keep returns the tokens with this one in the place of that of the same store, if it is better.
func keep(tokens []eventstore.Token, token eventstore.Token, better func(than eventstore.Token) bool) []eventstore.Token {
	n := slices.IndexFunc(tokens, func(t eventstore.Token) bool { return t.Store == token.Store })
	switch {
	case n < 0:
		return append(tokens, token)
	case better(tokens[n]):
		tokens[n] = token
	}
	return tokens
}

// before is the order of the tokens of one store.
func before(a, b eventstore.Token) bool {
	if a.Incarnation != b.Incarnation {
		return a.Incarnation < b.Incarnation
	}
	return a.Position < b.Position
}

// tell fills in what the caller wants to know.
func (r *requirement) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, told := range r.told {
		if told != nil {
			*told = r.freshness()
		}
	}
}

// freshness returns how fresh the answer is. It is called under mu.
func (r *requirement) freshness() Freshness {
	missing, _ := r.missing() // a past life is no freshness; the call fails
	return Freshness{Includes: sorted(r.report.seen), After: sorted(r.report.newest), Missing: missing, AsOf: r.asOf()}
}

// missing returns what is required of the stores that were read and was not seen, and an error if that
// is of a life which has ended.
func (r *requirement) missing() (missing []eventstore.Token, err error) {
	for n, token := range r.required() {
		for _, seen := range r.report.seen {
			if seen.Store != token.Store {
				continue
			}
			behind, ended := lacks(seen, token, n >= len(r.tokens))
			if behind || ended != nil {
				missing = append(missing, token)
			}
			err = cmp.Or(err, ended)
		}
	}
	return missing, err
}

func sorted(tokens []eventstore.Token) []eventstore.Token {
	return slices.SortedFunc(slices.Values(tokens), func(a, b eventstore.Token) int { return bytes.Compare(a.Store[:], b.Store[:]) })
}

// asOf returns the oldest of the moments at which the logs were as far as the answer is.
func (r *requirement) asOf() (oldest time.Time) {
	for n, seen := range r.report.seen {
		var at time.Time
		for _, head := range r.heads {
			if then := head.reached(seen); then.After(at) {
				at = then
			}
		}
		if n == 0 || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}
