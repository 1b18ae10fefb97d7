package aggregate

import (
	"context"

	"github.com/leftfold/leftfold/eventstore"
)

// TakeDue takes the snapshots that are due, as Run does.
func (s *Snapshots) TakeDue(ctx context.Context) {
	for {
		select {
		case next := <-s.waiting:
			s.take(ctx, next)
		default:
			return
		}
	}
}

// Due returns how many snapshots are due.
func (s *Snapshots) Due() int { return len(s.waiting) }

// Cached returns how many states are in the cache.
func (r *Repository[S, E]) Cached() int { return r.cache.recent.Len() }

// ExecuteFunc is Execute, or a twin of it with a planted bug.
type ExecuteFunc[S, E any] func(r *Repository[S, E], ctx context.Context, id string, decide Decision[S, E], options ...ExecuteOption) (eventstore.Receipt, error)

// twin is Execute on a cache with another way to propose and to finish.
func twin[S, E any](propose func(x *cachedExecute[S, E], ctx context.Context, store Store, s settings) (proposed, error), finish func(x *cachedExecute[S, E], receipt eventstore.Receipt, err error)) ExecuteFunc[S, E] {
	return func(r *Repository[S, E], ctx context.Context, id string, decide Decision[S, E], options ...ExecuteOption) (eventstore.Receipt, error) {
		s := newSettings(ctx, options)
		x := cachedExecute[S, E]{Repository: r, stream: r.typ.Stream(id), decide: decide}
		x.kept, x.held = r.cache.checkOut(x.stream)
		receipt, err := executeAll(ctx, r.store, []Plan{{stream: x.stream, propose: func(ctx context.Context, store Store, s settings) (proposed, error) {
			return propose(&x, ctx, store, s)
		}}}, s)
		finish(&x, receipt, err)
		return receipt, err
	}
}

// KeepsBeforeCommit returns the state to the cache as if the append had been made, before it has.
func KeepsBeforeCommit[S, E any]() ExecuteFunc[S, E] {
	return twin(func(x *cachedExecute[S, E], ctx context.Context, store Store, s settings) (proposed, error) {
		p, err := x.propose(ctx, store, s)
		if err == nil {
			x.finish(eventstore.Receipt{}, nil)
			x.kept, x.held = kept[S]{}, false
		}
		return p, err
	}, func(*cachedExecute[S, E], eventstore.Receipt, error) {})
}

// KeepsWhateverHappens returns the state to the cache also if the outcome is unknown.
func KeepsWhateverHappens[S, E any]() ExecuteFunc[S, E] {
	return twin((*cachedExecute[S, E]).propose, func(x *cachedExecute[S, E], receipt eventstore.Receipt, _ error) {
		receipt.Repeated = false
		x.finish(receipt, nil)
	})
}

// BelievesKeptRefusals takes a refusal for an answer that was made on a kept state.
func BelievesKeptRefusals[S, E any]() ExecuteFunc[S, E] {
	return twin(func(x *cachedExecute[S, E], ctx context.Context, store Store, s settings) (proposed, error) {
		if x.held && !x.tried {
			x.tried = true
			return x.decideOnKept(s)
		}
		return x.propose(ctx, store, s)
	}, (*cachedExecute[S, E]).finish)
}

// TrustsAnyLife appends what was decided on a kept state in whatever life the log is.
func TrustsAnyLife[S, E any]() ExecuteFunc[S, E] {
	return twin(func(x *cachedExecute[S, E], ctx context.Context, store Store, s settings) (proposed, error) {
		p, err := x.propose(ctx, store, s)
		p.life = eventstore.Identity{}
		return p, err
	}, (*cachedExecute[S, E]).finish)
}

// SharesReferences reports whether the state refers to one thing in two places.
func SharesReferences[S any](state S) bool { return sharesReferences(&state) }
