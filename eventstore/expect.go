package eventstore

import (
	"context"
	"sync/atomic"
)

// expectation is the version that the caller of a command expects.
type expectation struct {
	version Version
	taken   atomic.Bool
}

type expectationKey struct{}

// WithExpected returns a context for handling one command, once, whose caller expects the
// aggregate to be at the version. The first decision that is made under it takes the
// expectation; a retry of the command must start from a fresh WithExpected.
func WithExpected(ctx context.Context, v Version) context.Context {
	return context.WithValue(ctx, expectationKey{}, &expectation{version: v})
}

// WithoutExpected returns a context for handling another command under ctx: what ctx expects is
// left to the first one.
func WithoutExpected(ctx context.Context) context.Context {
	return context.WithValue(ctx, expectationKey{}, nil)
}

// TakeExpected returns the version that ctx expects, to whoever asks first, and whether
// there is one that nobody has taken. Who takes it must refuse with [ErrVersionConflict] if
// it does not hold; who handles commands asks last, and so learns that nobody looked at it.
func TakeExpected(ctx context.Context) (Version, bool) {
	e, ok := ctx.Value(expectationKey{}).(*expectation)
	if !ok || e.taken.Swap(true) {
		return 0, false
	}
	return e.version, true
}
