package command

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Bounds of a pause between two tries.
const (
	firstPause = 10 * time.Millisecond
	maxPause   = time.Second
)

// Retry handles a command up to attempts times while the store is busy
// ([eventstore.ErrStoreBusy]) or the outcome unknown ([eventstore.ErrOutcomeUnknown]),
// with growing random pauses in between, up to a second each. With 1 or less it tries
// once.
//
// Only commands with an id of their own are tried again. For any other the second try
// could repeat what the first has done: a busy store has not taken the append that met
// it, but the handler may have made another one before.
func Retry(attempts int) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
			info, _ := InfoFrom(ctx)
			if info.ID == "" {
				return next(ctx, cmd)
			}
			return try(ctx, attempts, func() (eventstore.Receipt, error) { return next(ctx, cmd) })
		}
	}
}

// try calls handle until it succeeds or fails for good. Once an outcome was unknown, a
// later error does not settle it: a repeat that finds the store busy was not appended,
// but the try before it may have been. So the error says both.
func try(ctx context.Context, attempts int, handle func() (eventstore.Receipt, error)) (eventstore.Receipt, error) {
	var unknown error
	for attempt := 1; ; attempt++ {
		receipt, err := handle()
		if err == nil {
			return receipt, nil
		}
		again := attempt < attempts && passes(err)
		if errors.Is(err, eventstore.ErrOutcomeUnknown) {
			unknown = err
		} else if unknown != nil {
			err = fmt.Errorf("%w; tried again: %w", unknown, err)
		}
		if !again || pause(ctx, attempt) != nil {
			return eventstore.Receipt{}, err // when time is up, why it failed says more
		}
	}
}

// passes reports whether an error may be gone on the next try.
func passes(err error) bool {
	return errors.Is(err, eventstore.ErrStoreBusy) || errors.Is(err, eventstore.ErrOutcomeUnknown)
}

// pause waits a random time of at most 10 ms after the first try and twice as much
// after each further one, up to a second. It returns the error of ctx if that ends first.
func pause(ctx context.Context, attempt int) error {
	limit := maxPause
	if doublings := attempt - 1; doublings < 7 { // 10 ms << 7 is beyond a second
		limit = min(firstPause<<doublings, maxPause)
	}
	timer := time.NewTimer(rand.N(limit))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
