package postgres

import (
	"crypto/sha256"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// batch is appends that are made by one call of leftfold.append.
//
// The function checks all of them against the log as it is before the batch. So an append
// whose outcome could depend on another one's stays out of its batch: it shares a stream
// or a command id with it, or has a condition that one of its events matches.
type batch struct {
	streams  map[eventstore.StreamID]bool
	commands map[eventstore.CommandID]bool
	events   []eventstore.EventData
	tagged   map[eventstore.Tag][]int // tag -> indexes of events
}

func newBatch() *batch {
	return &batch{streams: map[eventstore.StreamID]bool{}, commands: map[eventstore.CommandID]bool{}}
}

// admit takes an append into the batch unless its outcome could depend on another one's.
// The streams of an append that stays out are taken all the same: later appends to them
// must not overtake it.
func (b *batch) admit(p *groupcommit.Pending) bool {
	r := p.Request
	alone := !b.commands[r.Command.ID] || r.Command.ID.IsZero()
	for _, w := range r.Writes {
		alone = alone && !b.streams[w.Stream]
		b.streams[w.Stream] = true
	}
	b.commands[r.Command.ID] = true
	if !alone || r.Condition != nil && b.matches(r.Condition.FailIf) {
		return false
	}
	for _, w := range r.Writes {
		for _, e := range w.Events {
			b.note(e)
		}
	}
	return true
}

func (b *batch) note(e eventstore.EventData) {
	for _, tag := range e.Tags {
		if b.tagged == nil {
			b.tagged = map[eventstore.Tag][]int{}
		}
		b.tagged[tag] = append(b.tagged[tag], len(b.events))
	}
	b.events = append(b.events, e)
}

// matches reports whether an event of the batch matches the query. It looks at the events
// that carry an item's first tag, and at all of them only for an item without tags.
func (b *batch) matches(q eventstore.Query) bool {
	if len(q.Items) == 0 {
		return len(b.events) > 0
	}
	return slices.ContainsFunc(q.Items, func(item eventstore.QueryItem) bool {
		if len(item.Tags) == 0 {
			return slices.ContainsFunc(b.events, item.Matches)
		}
		return slices.ContainsFunc(b.tagged[item.Tags[0]], func(n int) bool { return item.Matches(b.events[n]) })
	})
}

// streamKey is what the index of streams knows a stream by: half of a SHA-256. No two
// streams share one: among a billion of them the odds are 1 in 10^20.
func streamKey(stream eventstore.StreamID) [16]byte {
	sum := sha256.Sum256([]byte(stream))
	return [16]byte(sum[:16])
}
