package eventstoretest

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// flawed is a store made for being broken. Without a bug it is right, naive and slow;
// each bug changes it in one place. A clause that passes without the bug and fails
// with it has found that bug and nothing else.
type flawed struct {
	bug      bug
	identity eventstore.Identity

	tags      sync.Mutex // held by appends with a condition, if the bug is lockPerTag
	mu        sync.Mutex
	closed    bool
	importing bool
	log       []eventstore.Recorded // in position order; a bug may leave gaps
	last      eventstore.Position   // the last one handed out
	commands  map[eventstore.CommandID]remembered
	pruned    map[eventstore.CommandID]remembered
	deleted   map[eventstore.StreamID]bool
	appended  chan struct{}
}

type remembered struct {
	hash    eventstore.CommandHash
	receipt eventstore.Receipt
	err     error
	at      time.Time
}

func newFlawed(b bug) *flawed {
	identity := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	var last eventstore.Position
	switch b {
	case oneIdentityForAll:
		identity.Store = eventstore.StoreID{1}
	case noIncarnation:
		identity.Incarnation = 0
	case positionsFromZero:
		last = -1
	}
	return &flawed{
		bug: b, identity: identity, last: last,
		commands: map[eventstore.CommandID]remembered{}, pruned: map[eventstore.CommandID]remembered{}, deleted: map[eventstore.StreamID]bool{}, appended: make(chan struct{}),
	}
}

// reopened is a new process on the same log.
func (f *flawed) reopened() *flawed {
	again := newFlawed(f.bug)
	again.log, again.last, again.commands, again.deleted = f.log, f.last, f.commands, f.deleted
	again.importing = f.importing && f.bug != importInMemory
	switch f.bug {
	case idsInMemory:
		again.commands = map[eventstore.CommandID]remembered{}
	case pruningInMemory:
		maps.Copy(again.commands, f.pruned)
	case deletionsInMemory:
		again.deleted = map[eventstore.StreamID]bool{}
	case sequenceInMemory:
		again.last++
	}
	if f.bug != newIdentityOnOpen {
		again.identity = f.identity
	}
	return again
}

func (f *flawed) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = f.bug != acceptsWhenClosed
	return nil
}

// is reports whether the store has one of the bugs.
func (f *flawed) is(bugs ...bug) bool { return slices.Contains(bugs, f.bug) }

// pause lets others in, where a lock should have kept them out.
func (f *flawed) pause() {
	f.mu.Unlock()
	for range 20 {
		runtime.Gosched()
	}
	f.mu.Lock()
}

func (f *flawed) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	r, err := f.prepare(r)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	if f.is(lockPerTag) && r.Condition != nil {
		f.tags.Lock()
		defer f.tags.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return eventstore.Receipt{}, eventstore.ErrClosed
	}
	if ctx.Err() != nil && !f.is(ignoresContext) {
		switch f.bug {
		case unknownAndRefused:
			return eventstore.Receipt{}, fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, ctx.Err())
		case refusedAndAppended:
			f.write(r)
		}
		return eventstore.Receipt{}, ctx.Err()
	}
	if f.importing && !f.is(importLetsAppend) {
		return eventstore.Receipt{}, eventstore.ErrImporting
	}
	if err := f.unsupported(r); err != nil {
		return eventstore.Receipt{}, err
	}
	for _, step := range f.steps() {
		if receipt, done, err := step(r); done || err != nil {
			if f.is(refusalRemembered) && err != nil && !r.Command.ID.IsZero() {
				f.commands[r.Command.ID] = remembered{hash: r.Command.Hash, err: err}
			}
			if f.is(refusalBurnsPosition) && err != nil {
				f.last++
			}
			return receipt, err
		}
	}
	if f.is(checksThenAppends) {
		f.pause()
	}
	return f.write(r), nil
}

// steps are what an append does before it writes, in order.
func (f *flawed) steps() []func(eventstore.AppendRequest) (eventstore.Receipt, bool, error) {
	lookup, life, deleted, versions, condition := f.lookup, f.checkLife, f.checkDeleted, f.checkVersions, f.checkCondition
	type steps = []func(eventstore.AppendRequest) (eventstore.Receipt, bool, error)
	switch f.bug {
	case lookupAfterDeletion:
		return steps{deleted, lookup, versions, condition}
	case lookupAfterVersion:
		return steps{deleted, versions, lookup, condition}
	case lookupAfterCondition:
		return steps{condition, lookup, deleted, versions}
	case lookupOutsideLock:
		return steps{lookup, deleted, versions, condition, f.pausing}
	case tombstoneRefusesNothing:
		return steps{lookup, versions, condition}
	case idsForgotten:
		return steps{deleted, versions, condition}
	case conditionInsteadOfVersion:
		return steps{lookup, deleted, condition}
	case lifeBeforeLookup:
		return steps{life, lookup, deleted, versions, condition}
	default:
		return steps{lookup, life, deleted, versions, condition}
	}
}

func (f *flawed) checkLife(r eventstore.AppendRequest) (receipt eventstore.Receipt, _ bool, _ error) {
	if f.is(lifeIgnored) {
		return receipt, false, nil
	}
	return receipt, false, r.CheckLife(f.identity)
}

func (f *flawed) pausing(eventstore.AppendRequest) (r eventstore.Receipt, done bool, err error) {
	f.pause()
	return r, false, nil
}

func (f *flawed) prepare(r eventstore.AppendRequest) (eventstore.AppendRequest, error) {
	unchecked, _ := withDefaults(r)
	switch {
	case f.is(limitsUnchecked):
		return unchecked, nil
	case f.is(streamsMergedByName) && len(r.Writes) > 1:
		return unchecked, nil
	case f.is(emptyAppendAccepted) && r.EventCount() == 0:
		return unchecked, nil
	case f.is(defaultsInPlace):
		for _, w := range r.Writes {
			for n := range w.Events {
				w.Events[n].ID = eventstore.NewEventID()
			}
		}
	case f.is(eventLimitHuge):
		return r.Prepare(eventstore.Limits{EventBytes: 1 << 40})
	}
	return r.Prepare(eventstore.Limits{})
}

// withDefaults is Prepare without its checks.
func withDefaults(r eventstore.AppendRequest) (eventstore.AppendRequest, error) {
	r.Writes = slices.Clone(r.Writes)
	for n, w := range r.Writes {
		w.Events = slices.Clone(w.Events)
		for i := range w.Events {
			if w.Events[i].ID.IsZero() {
				w.Events[i].ID = eventstore.NewEventID()
			}
		}
		r.Writes[n] = w
	}
	return r, nil
}
