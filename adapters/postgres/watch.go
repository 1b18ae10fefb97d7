package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/leftfold/leftfold/internal/moments"
)

// watch remembers how much the primary had written, and when.
//
// What it sees of the primary it sees by the clock of this process, before the server has answered:
// a standby that has replayed so much has all that was committed by then.
type watch struct {
	primary *Sink
	timeout time.Duration

	mu      sync.Mutex
	history moments.History // of one timeline
	newest  sighted
	failed  bool // when the primary was looked at last
}

func (w *watch) keepSampling(ctx context.Context, every time.Duration) {
	for pause(ctx, every); ctx.Err() == nil; pause(ctx, every) {
		w.sample(ctx)
	}
}

func (w *watch) sample(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.take(w.primary.sight(short))
}

func (w *watch) take(there sighted, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed = err != nil || there.standby; w.failed {
		return // its successor will answer, at this address or never
	}
	if there.timeline != w.newest.timeline || there.cluster != w.newest.cluster || there.position < w.newest.position {
		w.history.Forget() // another server writes now, and its positions have another meaning
	}
	w.newest = there
	w.history.Remember(moments.Moment{At: there.began, Position: there.position})
}

// compare holds a standby, as it is and as it was when it was looked at before, against the
// primary, and returns its lag.
func (w *watch) compare(before, now sighted) (lag time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := w.newest
	switch {
	case there.began.IsZero():
		return -1, nil // the primary has never answered
	case told(now.cluster) && told(there.cluster) && now.cluster != there.cluster:
		return -1, errOtherCluster
	case w.failed:
		// There may be another primary by now, which the standby follows already.
	case told(now.timeline) && now.timeline != there.timeline:
		return -1, errTimeline
	case there.began.After(before.ended) && there.position < before.position:
		return -1, errTimeline // no copy has more than the primary, which was looked at later
	}
	until := time.Now()
	if w.failed {
		until = there.began
	}
	at := w.history.Reached(now.position)
	if at.IsZero() {
		return -1, nil
	}
	return max(until.Sub(at), 0), nil
}

func told[N int32 | int64](n N) bool { return n != 0 }
