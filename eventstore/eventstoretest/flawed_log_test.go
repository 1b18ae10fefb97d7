package eventstoretest

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

func (f *flawed) ReadLog(ctx context.Context, q eventstore.LogQuery) (*eventstore.LogRead, error) {
	if err := q.Validate(); err != nil && !f.is(limitsUnchecked) {
		return nil, err
	}
	if ctx.Err() != nil && !f.is(ignoresContext) {
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	log, head := f.visible(), f.head()
	if q.After > head && !f.is(aheadIsEmpty) {
		return nil, eventstore.ErrAheadOfLog
	}
	read := eventstore.LogRead{Identity: f.identity, Head: head}
	if f.is(readWithoutIdentity) {
		read.Identity = eventstore.Identity{}
	}
	events := f.matching(log, q)
	through := f.through(q, head, events)
	read.After, read.Through = f.anchor(log, q.Query, q.After), f.anchor(log, q.Query, through)
	if f.is(throughNotClipped) && q.Through > head {
		read.Through.Position = q.Through
	}
	return eventstore.NewLogRead(read, f.yieldLog(q, events)), nil
}

// through is the end of the read.
func (f *flawed) through(q eventstore.LogQuery, head eventstore.Position, events []eventstore.Recorded) eventstore.Position {
	through := head
	if q.Through != 0 {
		through = min(q.Through, head)
	}
	if q.Limit > 0 && len(events) == q.Limit && !f.is(limitPassesBy) {
		through = events[len(events)-1].Position
	}
	if f.is(throughIsLastMatch) {
		through = q.After
		if len(events) > 0 {
			through = events[len(events)-1].Position
		}
	}
	return through
}

func (f *flawed) anchor(log []eventstore.Recorded, q eventstore.Query, at eventstore.Position) eventstore.Anchor {
	if at == 0 && f.is(anchorBeforeTheLog) {
		return eventstore.Anchor{EventID: eventstore.NewEventID()}
	}
	for _, e := range log {
		if e.Position == at && (!f.is(anchorFiltered) || q.Matches(e.EventData)) {
			return eventstore.Anchor{Position: at, EventID: e.ID}
		}
	}
	return eventstore.Anchor{Position: at}
}

func (f *flawed) matching(log []eventstore.Recorded, q eventstore.LogQuery) []eventstore.Recorded {
	if f.is(afterInclusive) && q.After > 0 {
		q.After--
	}
	var events []eventstore.Recorded
	for _, e := range log {
		bounded := e.Position > q.After && (q.Through == 0 || e.Position <= q.Through)
		full := q.Limit > 0 && len(events) == q.Limit
		if times := f.matches(q.Query, e.EventData); bounded && !full && times > 0 {
			events = append(events, slices.Repeat([]eventstore.Recorded{e}, times)...)
		}
	}
	if f.is(logFirstPageOnly) {
		return events[:min(len(events), 1000)]
	}
	return events
}

// matches returns how often the event is yielded for the query.
func (f *flawed) matches(q eventstore.Query, e eventstore.EventData) int {
	times := 0
	for _, i := range q.Items {
		if i.Matches(e) {
			times++
		}
	}
	one := map[bool]int{true: 1}
	switch {
	case f.is(joinedPerItem) && len(q.Items) > 0:
		return times
	case f.is(readAnyTag):
		return one[matchesAnyTag(q, e)]
	case f.is(namesFolded):
		return one[folded(q).Matches(foldedEvent(e))]
	default:
		return one[q.Matches(e)]
	}
}

func folded(q eventstore.Query) eventstore.Query {
	var all eventstore.Query
	for _, i := range q.Items {
		e := foldedEvent(eventstore.EventData{Tags: i.Tags})
		var types []string
		for _, name := range i.Types {
			types = append(types, strings.ToLower(name))
		}
		all.Items = append(all.Items, eventstore.QueryItem{Types: types, Tags: e.Tags})
	}
	return all
}

func foldedEvent(e eventstore.EventData) eventstore.EventData {
	e.Type, e.Tags = strings.ToLower(e.Type), slices.Clone(e.Tags)
	for n, tag := range e.Tags {
		e.Tags[n] = eventstore.Tag(strings.ToLower(string(tag)))
	}
	return e
}

func (f *flawed) yieldLog(q eventstore.LogQuery, events []eventstore.Recorded) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if f.is(readersHoldLock) {
			f.mu.Lock()
			defer f.mu.Unlock()
		}
		if f.is(headAtLoop) && q.Through == 0 && q.Limit == 0 {
			f.mu.Lock()
			events = f.matching(f.visible(), q)
			f.mu.Unlock()
		}
		for _, e := range events {
			if !yield(e, nil) {
				f.endEarly()
				return
			}
		}
	}
}
