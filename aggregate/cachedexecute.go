package aggregate

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// cachedExecute is one call of Execute on a repository with a cache. It owns the state that it
// checks out, and gives it back once it is known to be what the log has.
type cachedExecute[S, E any] struct {
	*Repository[S, E]
	stream eventstore.StreamID
	decide Decision[S, E]

	kept    kept[S]
	held    bool                   // kept is a state
	tried   bool                   // something was proposed
	events  []eventstore.EventData // what was proposed last
	current bool                   // the last decision was made on what the log had, and nothing was to be appended
}

func (r *Repository[S, E]) executeCached(ctx context.Context, id string, decide Decision[S, E], s settings) (eventstore.Receipt, error) {
	x := cachedExecute[S, E]{Repository: r, stream: r.typ.Stream(id), decide: decide}
	x.kept, x.held = r.cache.checkOut(x.stream)
	receipt, err := executeAll(ctx, r.store, []Plan{{stream: x.stream, propose: x.propose}}, s)
	x.finish(receipt, err)
	return receipt, err
}

// propose decides on the kept state, and on what the log has if the kept one is not enough: the
// store will check an append, but nobody a refusal. A user was told "insufficient funds" by one
// process although he had paid in through another one, an hour ago.
func (x *cachedExecute[S, E]) propose(ctx context.Context, store Store, s settings) (proposed, error) {
	read := !x.held || x.tried || s.maxAttempts == 1 // 1: the caller wants to hear of the first conflict, not of an old state
	x.tried = true
	if !read {
		p, err := x.decideOnKept(s)
		if err == nil && len(x.events) > 0 {
			p.old = true
			return p, nil
		}
	}
	if err := x.refresh(ctx, store); err != nil {
		return proposed{}, err
	}
	p, err := x.decideOnKept(s)
	x.current = err != nil || len(x.events) == 0
	return p, err
}

// refresh makes the kept state what the log has. Its events are still there if the log is in the
// same life and has the last of them; then only what came behind them is read.
func (x *cachedExecute[S, E]) refresh(ctx context.Context, store Store) error {
	held := x.held
	x.held = false // until it is whole again
	life, err := lifeOf(ctx, store, x.stream)
	if err != nil {
		return err
	}
	if held && life == x.kept.life {
		err := x.typ.follow(ctx, store, x.stream, &x.kept)
		if !errors.Is(err, errNotInLog) {
			x.held = err == nil
			return err
		}
	}
	x.kept, err = x.loadIn(ctx, store, x.stream, life)
	x.held = err == nil
	return err
}

// decideOnKept decides on a copy of the kept state.
func (x *cachedExecute[S, E]) decideOnKept(s settings) (proposed, error) {
	x.events, x.current = nil, false
	state, err := x.cache.copied(&x.kept.state)
	if err != nil {
		x.cache.failed(x.stream, fmt.Errorf("copy the state: %w", err))
		state, x.held = x.kept.state, false
	}
	p, err := x.typ.decideOn(x.stream, state, x.kept.version, x.decide, s)
	p.life = x.kept.life
	for n := range p.write.Events { // the last one will be the anchor of the state
		p.write.Events[n].ID = eventstore.NewEventID()
	}
	x.events = p.write.Events
	return p, err
}

// finish gives the state back if it is known what the log has. It is not after a conflict, an
// unknown outcome or any other failed append, nor if the command had been repeated: its events are
// those of another try.
func (x *cachedExecute[S, E]) finish(receipt eventstore.Receipt, err error) {
	if !x.held || receipt.Repeated || err != nil && !x.current {
		return
	}
	if err == nil {
		if failed := x.advance(x.stream, &x.kept, x.events); failed != nil {
			return // the next load meets it, and tells
		}
	}
	x.offer(x.stream, &x.kept)
	x.cache.giveBack(x.stream, x.kept)
}
