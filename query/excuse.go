package query

import (
	"context"
	"time"
)

// Patience is for readers that answer from elsewhere: it returns for how long they may wait for
// what is [Required], and whether that is bounded by anything but ctx. Zero or less: they must
// not wait.
func Patience(ctx context.Context) (most time.Duration, bounded bool) {
	return requirementIn(ctx).patience()
}

// excuse lets the answer do without what is required of a part that is missing in it: which part
// follows which store, nobody can tell.
func excuse(ctx context.Context) {
	for r := requirementIn(ctx); r != nil; r = r.outer {
		r.mu.Lock()
		r.excused = true
		r.mu.Unlock()
	}
}
