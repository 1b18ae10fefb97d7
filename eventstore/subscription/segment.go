package subscription

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// Segment is a run of slices whose keys are applied by one worker at a time, with a
// checkpoint of their own: those from First up to End, which is not one of them. Order holds
// within a key, and a key is in one segment. The segments of a subscription are at all times
// the whole, without an overlap.
type Segment struct{ First, End eventstore.Slice }

// Whole is the segment of all keys, with which every subscription begins.
var Whole = Segment{0, eventstore.Slices}

// Holds reports whether the segment has the key.
func (s Segment) Holds(key string) bool {
	if s == Whole {
		return true
	}
	slice := eventstore.SliceOf(key)
	return s.First <= slice && slice < s.End
}

// Width is how many slices the segment has.
func (s Segment) Width() int { return int(s.End - s.First) }

// Cut divides the segment at a slice, with which the high part begins. Both must have slices.
func (s Segment) Cut(at eventstore.Slice) (low, high Segment, err error) {
	if at <= s.First || s.End <= at {
		return s, s, fmt.Errorf("segment %s cannot be cut at slice %d", s, at)
	}
	return Segment{s.First, at}, Segment{at, s.End}, nil
}

// Join returns the segment that two neighbours make, the lower one first.
func (s Segment) Join(high Segment) (Segment, error) {
	if s.End != high.First {
		return s, fmt.Errorf("segments %s and %s are no neighbours", s, high)
	}
	return Segment{s.First, high.End}, nil
}

// String returns the first and the last slice, as "0-1023".
func (s Segment) String() string { return fmt.Sprintf("%d-%d", s.First, s.End-1) }
