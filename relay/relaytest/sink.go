package relaytest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leftfold/leftfold/relay"
)

// RunSink checks that a sink of read models keeps a relay: its checkpoint, its segments and leases, and its
// dead letters. Each call of open must return an empty sink, and an empty store to publish from,
// and close them by t.Cleanup.
func RunSink(t *testing.T, open func(t testing.TB) Parts) {
	runClauses(t, sinkClauses, open)
}

var sinkClauses = []clause[Parts]{
	{"a relay loses nothing, keeps the order of each key and parks what is refused, under a script of faults", func(ctx context.Context, p Parts) error {
		bus := &Bus{Most: relay.Limits{Messages: 10}}
		return checkRelay(ctx, bus.subject(p), seedOfRun, publishAll)
	}},
	{"workers share a relay, which is paused, moved and goes on", checkShared},
}

// subject returns the bus as the suite wants it.
func (b *Bus) subject(p Parts) Subject {
	return Subject{
		Publisher: b, Break: b.Break, Parts: p,
		Arrivals: func(context.Context) ([]Arrival, error) { return b.Arrivals(), nil },
	}
}

// checkShared runs a relay by two workers, divided into segments.
func checkShared(ctx context.Context, p Parts) error {
	bus := &Bus{}
	faults := &script{Subject: bus.subject(p), seed: seedOfRun}
	if err := faults.fill(ctx); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	const all, segments = runKeys * runEvents, 3
	r := relay.Relay{Name: "orders", Log: p.Store, Sink: p.Sink, Publisher: bus, Segments: segments, TTL: 500 * time.Millisecond, Window: runWindow}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() { ended <- r.Run(running) }()
	}
	err := first(bus.Await(ctx, all), inOrder(bus.Arrivals()), awaitStatus(ctx, r, segments))
	if arrived := len(bus.Arrivals()); err == nil {
		err = first(r.Pause(ctx), r.MoveTo(ctx, all-1), bus.Await(ctx, arrived+1), awaitStatus(ctx, r, segments))
	}
	stop()
	return first(err, <-ended, <-ended, inOrder(bus.Arrivals()))
}

// awaitStatus waits until the relay is at the head, in so many segments.
func awaitStatus(ctx context.Context, r relay.Relay, segments int) error {
	for {
		status, err := r.Status(ctx)
		if err != nil {
			return err
		}
		if len(status.Segments) == segments && status.Position == status.Head {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond): // somebody looks at the status now and then
		case <-ctx.Done():
			return fmt.Errorf("the relay is at position %d of %d, in %d segments: %w", status.Position, status.Head, len(status.Segments), ctx.Err())
		}
	}
}
