package eventstoretest

import (
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

func (f *flawed) hash(r eventstore.AppendRequest) eventstore.CommandHash {
	if f.is(hashOverEvents) {
		return eventstore.HashCommand(fmt.Sprint(r.Writes), nil)
	}
	return r.Command.Hash
}

func (f *flawed) lookup(r eventstore.AppendRequest) (eventstore.Receipt, bool, error) {
	first, found := f.commands[r.Command.ID]
	if !found || f.is(scopeUndeclared) && !namesAny(first.receipt.Versions, r.Writes) {
		return eventstore.Receipt{}, false, nil
	}
	mismatch := f.hash(r).Mismatches(first.hash)
	if f.is(zeroHashCompared) {
		mismatch = f.hash(r) != first.hash
	}
	if mismatch && !f.is(hashIgnored) {
		return eventstore.Receipt{}, false, eventstore.ErrIdempotencyMismatch
	}
	receipt := first.receipt
	receipt.Repeated = !f.is(repeatNotMarked)
	if f.is(repeatReceiptsHead) {
		receipt.Token.Position = f.head()
	}
	return receipt, true, first.err
}

func namesAny(versions map[eventstore.StreamID]eventstore.Version, writes []eventstore.Write) bool {
	return slices.ContainsFunc(writes, func(w eventstore.Write) bool { _, ok := versions[w.Stream]; return ok })
}

func (f *flawed) checkDeleted(r eventstore.AppendRequest) (receipt eventstore.Receipt, _ bool, _ error) {
	for _, w := range r.Writes {
		if f.deleted[w.Stream] && !(f.is(tombstoneIgnoredByChecks) && len(w.Events) == 0) {
			return receipt, false, eventstore.ErrStreamDeleted
		}
	}
	return receipt, false, nil
}

func (f *flawed) checkVersions(r eventstore.AppendRequest) (receipt eventstore.Receipt, _ bool, _ error) {
	for n, w := range r.Writes {
		actual := f.version(w.Stream)
		accepted := w.Expected.Accepts(actual)
		switch {
		case f.is(exactlyMeansAtLeast):
			var least eventstore.Version
			n, _ := fmt.Sscanf(w.Expected.String(), "version %d", &least)
			accepted = accepted || n == 1 && actual >= least
		case f.is(checkOnlyIgnored) && len(w.Events) == 0:
			accepted = true
		}
		if accepted {
			continue
		}
		if f.is(writesAsItChecks) {
			f.write(eventstore.AppendRequest{Writes: r.Writes[:n]})
		}
		conflict := &eventstore.VersionConflictError{Stream: w.Stream, Expected: w.Expected, Actual: actual}
		if f.is(conflictWithoutActual) {
			conflict.Actual = 0
		}
		return receipt, false, conflict
	}
	return receipt, false, nil
}

func (f *flawed) checkCondition(r eventstore.AppendRequest) (receipt eventstore.Receipt, _ bool, _ error) {
	c := r.Condition
	if c == nil || f.is(conditionNeedsEvents) && r.EventCount() == 0 {
		return receipt, false, nil
	}
	if c.After > f.head() && !f.is(conditionAheadAccepted) {
		return receipt, false, eventstore.ErrAheadOfLog
	}
	if !c.FailIf.Tagged() && f.head()-c.After > eventstore.MaxUntaggedLookback && !f.is(conditionAnyWidth) {
		return receipt, false, fmt.Errorf("%w: use a tag", eventstore.ErrConditionTooWide)
	}
	log := f.log
	if f.is(conditionSeesItself) {
		for _, w := range r.Writes {
			for _, e := range w.Events {
				log = append(slices.Clip(log), eventstore.Recorded{EventData: e, Position: f.head() + 1})
			}
		}
	}
	for _, e := range log {
		if (e.Position > c.After || f.is(conditionIgnoresAfter)) && f.conditionMatches(c.FailIf, e.EventData) {
			return receipt, false, f.conditionFailed(*c, e.Position)
		}
	}
	return receipt, false, nil
}

func (f *flawed) conditionFailed(c eventstore.Condition, at eventstore.Position) error {
	if f.is(conditionErrorBare) {
		return eventstore.ErrConditionFailed
	}
	return &eventstore.ConditionFailedError{Query: c.FailIf, After: c.After, Position: at}
}

func (f *flawed) conditionMatches(q eventstore.Query, e eventstore.EventData) bool {
	switch f.bug {
	case conditionFlattened: // OR of items turned into one item with everything
		var all eventstore.QueryItem
		for _, i := range q.Items {
			all.Types, all.Tags = append(all.Types, i.Types...), append(all.Tags, i.Tags...)
		}
		return all.Matches(e)
	case conditionAnyTag:
		return matchesAnyTag(q, e)
	case conditionByType: // the tags are forgotten: strangers refuse each other
		return slices.ContainsFunc(q.Items, func(i eventstore.QueryItem) bool {
			return eventstore.QueryItem{Types: i.Types}.Matches(e)
		})
	default:
		return q.Matches(e)
	}
}

func matchesAnyTag(q eventstore.Query, e eventstore.EventData) bool {
	if len(q.Items) == 0 {
		return true
	}
	for _, i := range q.Items {
		untagged := eventstore.QueryItem{Types: i.Types}
		shared := slices.ContainsFunc(i.Tags, func(t eventstore.Tag) bool { return slices.Contains(e.Tags, t) })
		if untagged.Matches(e) && (shared || len(i.Tags) == 0) {
			return true
		}
	}
	return false
}
