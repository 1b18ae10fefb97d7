package cli

import (
	"context"
	"log/slog"
	"time"
)

// parkedEvery is how often work looks for keys that were parked: it is soon enough for people.
const parkedEvery = 5 * time.Second

// logParked has the log told of each key that is parked, once, until ctx ends: a key that is parked holds up
// nothing, so nobody else tells. Each process tells of those of all.
func logParked(ctx context.Context, models []model, log *slog.Logger, every time.Duration) {
	told := map[deadLetter]bool{}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		all, err := deadLetters(ctx, models)
		if ctx.Err() != nil {
			return
		}
		if err != nil { // the workers tell what is away
			log.DebugContext(ctx, "looking for parked keys", "error", err)
		}
		for _, l := range all {
			if !told[l] {
				told[l] = true
				log.WarnContext(ctx, "key is left alone", "projection", l.Model, "version", l.Version, "key", l.Key,
					"position", int64(l.Position), "event", l.Event, "type", l.Type, "since", l.Since, "error", l.Cause)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}
