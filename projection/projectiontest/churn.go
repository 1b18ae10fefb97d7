package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// Churn says how much [RunChurn] does.
type Churn struct {
	// Rounds is how many times a worker joins and the oldest one leaves. Default: 8.
	Rounds int
	// Every is how long a round lasts. Default: 500 ms.
	Every time.Duration
	// Patience is how long the read models may stand still. Default: 30 s.
	Patience time.Duration
}

// RunChurn has workers join and leave, three at a time, while events are appended and every few
// rounds want another number of segments. In each round the read models must get on, and in the
// end they must be what the log says, key by key and in order.
func RunChurn(t *testing.T, p Parts, churn Churn) {
	t.Helper()
	longest, err := CheckChurn(t.Context(), p, churn)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("longest standstill: %v", longest)
}

// CheckChurn is RunChurn that returns what is wrong, for a test that plants a bug, and how long
// a read model stood still at most.
func CheckChurn(ctx context.Context, p Parts, churn Churn) (longest time.Duration, err error) {
	if churn.Rounds == 0 {
		churn.Rounds = 8
	}
	if churn.Every == 0 {
		churn.Every = 500 * time.Millisecond
	}
	if churn.Patience == 0 {
		churn.Patience = 30 * time.Second
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var leave []func() error
	defer func() {
		for _, leaves := range leave {
			err = first(err, leaves())
		}
	}()
	appended, done := make(chan error, 1), make(chan struct{})
	go func() { appended <- p.trickle(ctx, done) }()
	for n := range churn.Rounds {
		leave = append(leave, p.join(ctx, []int{1, 6, 3}[n/3%3]))
		if len(leave) > 3 {
			if err := leave[0](); err != nil {
				return longest, err
			}
			leave = leave[1:]
		}
		began := time.Now()
		if err := p.getsOn(ctx, churn.Patience); err != nil {
			return longest, fmt.Errorf("round %d: %w", n+1, err)
		}
		longest = max(longest, time.Since(began))
		time.Sleep(churn.Every - time.Since(began)) // a round lasts as long as it was asked to
	}
	close(done)
	if err := <-appended; err != nil {
		return longest, err
	}
	for _, of := range []projection.Generation{tallies.Generation(), total.Generation()} {
		if _, err := applied(ctx, p.Store, p.Sink, of); err != nil {
			return longest, err
		}
	}
	return longest, p.agrees(ctx)
}

// trickle appends events until done is closed.
func (p Parts) trickle(ctx context.Context, done <-chan struct{}) error {
	for n := int64(0); ; n++ {
		select {
		case <-done:
			return nil
		case <-time.After(2 * time.Millisecond):
		}
		if _, err := p.append(ctx, fmt.Sprintf("s%d", rand.IntN(100)), counted{n}, uncounted{}); err != nil {
			return err
		}
	}
}

// join runs a worker until the returned function is called.
func (p Parts) join(ctx context.Context, segments int) (leave func() error) {
	ctx, cancel := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() {
		left <- projection.Worker{
			Log: p.Store, Events: tallyEvents, Window: 50, TTL: time.Second, Segments: segments,
			Tasks: []projection.Task{projection.Into(p.Sink, tallies), projection.Into(p.Sink, total)},
		}.Run(ctx)
	}()
	return func() error { cancel(); return <-left }
}

// getsOn waits until every segment of both read models has passed what was the head.
func (p Parts) getsOn(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	head, err := p.Store.Head(ctx)
	if err != nil {
		return err
	}
	for _, of := range []projection.Generation{tallies.Generation(), total.Generation()} {
		for {
			status, err := projection.StatusOf(ctx, p.Store, p.Sink, of)
			if err == nil && len(status.Segments) > 0 && status.Position > head.Position {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %s has not come to position %d in %v", errStandstill, of, head.Position, patience)
			}
			if err != nil {
				return err
			}
			time.Sleep(5 * time.Millisecond) // somebody looks at the status now and then
		}
	}
	return nil
}

var errStandstill = errors.New("it stands still")
