package discovery

import (
	"math/bits"
	"time"
)

// rest is a pause of what has failed: of an endpoint that is ejected, and of a whole service
// whose circuit is open. When its time is up one request is let through as a probe: its success
// ends the pause, its failure makes a longer one.
type rest struct {
	resting bool
	probing bool // a probe is under way
	until   time.Time
	length  time.Duration
	cause   error
}

// longer is how many times its first length a pause has at most.
const longer = 32

// begin starts a pause: of the first length, or twice as long as the last one if that ended
// not long ago.
func (r *rest) begin(now time.Time, first time.Duration, cause error) {
	longest := longer * first
	if r.length == 0 || now.Sub(r.until) > longest {
		r.length = first
	} else {
		r.length = min(2*r.length, longest)
	}
	*r = rest{resting: true, until: now.Add(r.length), length: r.length, cause: cause}
}

// beginUntil starts a pause of the length that was asked for, within the bound of others.
func (r *rest) beginUntil(now time.Time, length, first time.Duration, cause error) {
	*r = rest{resting: true, until: now.Add(min(length, longer*first)), length: r.length, cause: cause}
}

// due reports whether the time is up and nobody probes.
func (r *rest) due(now time.Time) bool { return r.resting && !r.probing && !now.Before(r.until) }

// end ends the pause. Its length is remembered, should another one follow soon.
func (r *rest) end(now time.Time) {
	*r = rest{until: now, length: r.length}
}

// outcomes are the last 64 of something, the newest in the lowest bit; 1 is a failure.
type outcomes struct {
	failed uint64
	known  int
}

func (o *outcomes) add(failed bool) {
	o.failed <<= 1
	if failed {
		o.failed |= 1
	}
	o.known = min(o.known+1, 64)
}

// inARow is how many of the newest failed.
func (o *outcomes) inARow() int { return bits.TrailingZeros64(^o.failed) }

// half reports whether half of them failed, of enough to tell.
func (o *outcomes) half() bool { return o.known >= 20 && 2*bits.OnesCount64(o.failed) >= o.known }
