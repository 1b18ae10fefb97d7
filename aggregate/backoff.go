package aggregate

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds of a pause between attempts.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 200 * time.Millisecond
)

// pause waits a random time of at most 2 ms after the first attempt and twice as much
// after each further one, up to 200 ms. Random from zero up ("full jitter"), because
// writers that collided once and wait the same time collide again. It returns the error
// of ctx if that ends first.
func pause(ctx context.Context, attempt int) error {
	limit := maxPause
	if doublings := attempt - 1; doublings < 7 { // 2 ms << 7 is beyond 200 ms
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
