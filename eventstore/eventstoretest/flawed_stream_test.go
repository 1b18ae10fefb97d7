package eventstoretest

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

func (f *flawed) ReadStream(ctx context.Context, s eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	once := false
	return func(yield func(eventstore.Recorded, error) bool) {
		if f.is(readsOnce) && once {
			return
		}
		once = true
		f.mu.Lock()
		log, deleted := f.visible(), f.deleted[s]
		if !f.is(readersHoldLock) {
			f.mu.Unlock()
		} else {
			defer f.mu.Unlock()
		}
		if err := f.readable(ctx, s, in, deleted); err != nil {
			_ = yield(eventstore.Recorded{}, err) && f.is(errorsTwice) && yield(eventstore.Recorded{}, err)
			return
		}
		f.yieldStream(log, s, in, yield)
	}
}

func (f *flawed) readable(ctx context.Context, s eventstore.StreamID, in eventstore.StreamRange, deleted bool) error {
	switch {
	case f.is(limitsUnchecked):
		return nil
	case s.Validate() != nil:
		return s.Validate()
	case in.Validate() != nil:
		return in.Validate()
	case deleted && !f.is(deletedReadable):
		return eventstore.ErrStreamDeleted
	case f.is(ignoresContext):
		return nil
	default:
		return ctx.Err()
	}
}

func (f *flawed) yieldStream(log []eventstore.Recorded, s eventstore.StreamID, in eventstore.StreamRange, yield func(eventstore.Recorded, error) bool) {
	var stream []eventstore.Recorded
	for _, e := range log {
		if e.Stream == s || f.is(streamByPrefix) && strings.HasPrefix(string(e.Stream), string(s)) {
			stream = append(stream, e)
		}
	}
	if f.is(backwardsWithinLimit) && in.Backwards && in.Limit > 0 {
		in.Backwards = false
		stream = selected(stream, in)
		slices.Reverse(stream)
		in = eventstore.StreamRange{}
	}
	if f.is(firstPageOnly) {
		stream = stream[:min(len(stream), 1000)]
	}
	if f.is(missingIsAnError) && len(stream) == 0 {
		yield(eventstore.Recorded{}, eventstore.ErrVersionConflict)
		return
	}
	for _, e := range selected(stream, in) {
		if !yield(e, nil) {
			f.endEarly()
			return
		}
	}
	if f.is(streamReadsOn) && in.Limit == 0 {
		f.yieldStreamAfter(s, len(stream), yield)
	}
}

// endEarly is where a reader gives back what it holds.
func (f *flawed) endEarly() {
	if f.is(earlyEndKeepsLock) {
		f.mu.Lock()
	}
}

// yieldStreamAfter is a second page that sees what was appended during the first.
func (f *flawed) yieldStreamAfter(s eventstore.StreamID, seen int, yield func(eventstore.Recorded, error) bool) {
	f.mu.Lock()
	log := f.visible()
	f.mu.Unlock()
	for _, e := range log {
		if e.Stream == s && int(e.Version) > seen && !yield(e, nil) {
			return
		}
	}
}
