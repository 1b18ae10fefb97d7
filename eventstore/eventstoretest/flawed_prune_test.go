package eventstoretest

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

func (f *flawed) PruneCommands(ctx context.Context, before time.Time) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil && !f.is(ignoresContext) {
		return 0, ctx.Err()
	}
	old := f.prunable(before)
	switch f.bug {
	case prunesNothing:
		return int64(len(old)), nil
	case pruningRemovesEvents:
		f.log = f.log[:0]
	}
	f.forget(old)
	if f.is(prunesWhatItNoted) {
		for !f.knowsAny(old) && ctx.Err() == nil { // until one is appended anew
			f.pause()
		}
		f.forget(old)
	}
	if f.is(prunesUncounted) {
		return 0, nil
	}
	return int64(len(old)), nil
}

func (f *flawed) prunable(before time.Time) (old []eventstore.CommandID) {
	if f.is(prunesAtTheTime) {
		before = before.Add(time.Microsecond)
	}
	kept := eventstore.Position(math.MaxInt64)
	for _, c := range f.commands {
		if !c.at.Before(before) && !f.is(prunesAll) {
			kept = min(kept, c.receipt.Token.Position)
		}
	}
	for id, c := range f.commands {
		if at := c.receipt.Token.Position; at < kept && !(f.is(prunesFromOne) && at == 0) {
			old = append(old, id)
		}
	}
	return old
}

func (f *flawed) knowsAny(ids []eventstore.CommandID) bool {
	return slices.ContainsFunc(ids, func(id eventstore.CommandID) bool { _, ok := f.commands[id]; return ok })
}

func (f *flawed) forget(ids []eventstore.CommandID) {
	for _, id := range ids {
		f.pruned[id] = f.commands[id]
		delete(f.commands, id)
	}
}
