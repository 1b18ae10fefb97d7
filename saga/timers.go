package saga

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// timers fires what is due of a saga's timers: of the instances whose commands this worker
// dispatches. It looks at the earliest ones in the view and sleeps until the first is due, or the
// view changes. An instance takes a timer that is fired again as nothing.
type timers struct {
	worker      Worker
	saga        string
	engine      engine
	dispatching *following

	fired map[string]bool // since when the view has them still
}

const (
	// timersAtFirst is how many it looks at, for mostly few are due, and timersAtOnce if more are.
	timersAtFirst = 50
	timersAtOnce  = 500
	// lookEvery is how often it looks without a reason: the view may change in another process.
	lookEvery = time.Second
	// restAfterChange is between two looks while the view keeps changing.
	restAfterChange = 5 * time.Millisecond
)

func (t *timers) run(ctx context.Context) error {
	t.fired = map[string]bool{}
	view := projection.NewReader(t.worker.Sink, timersOf(t.saga))
	for ctx.Err() == nil {
		changed := t.worker.Sink.Changed() // before we look, so that no change is missed
		sleep, err := t.fireDue(ctx, view)
		if err != nil && ctx.Err() == nil {
			t.worker.failed(t.saga, fmt.Errorf("timers of saga %s: %w", t.saga, err))
		}
		wait := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
		case <-changed:
			pause(ctx, restAfterChange)
		case <-wait.C:
		}
		wait.Stop()
	}
	return nil
}

// fireDue fires what is due, and returns how long there is nothing to do.
func (t *timers) fireDue(ctx context.Context, view *projection.Reader[Timer]) (time.Duration, error) {
	mine, err := t.mine(ctx)
	if err != nil || len(mine) == 0 {
		return lookEvery, err
	}
	fired := map[string]bool{}
	defer func() { t.fired = fired }() // those that the view does not have any more are forgotten
	var failures []error
	for list := (projection.ListQuery{By: "due", Limit: timersAtFirst}); ; list.Limit = timersAtOnce {
		page, err := view.List(ctx, list)
		if err != nil {
			return lookEvery, errors.Join(append(failures, ignoreNotBuilt(err))...)
		}
		now := t.worker.Now()
		sleep, last := lookEvery, page.Next == nil
		var batch []Timer
		for _, timer := range page.Rows {
			if timer.Due.After(now) {
				sleep, last = min(timer.Due.Sub(now), lookEvery), true
				break
			}
			switch {
			case t.fired[timer.ID]:
				fired[timer.ID] = true
			case holds(mine, eventstore.NewStreamID(t.saga, timer.Instance)):
				batch = append(batch, timer)
			}
		}
		failures = append(failures, t.fireAll(ctx, batch, fired))
		if last || ctx.Err() != nil {
			return sleep, errors.Join(failures...)
		}
		list.After = page.Next
	}
}

// fireAll tells the instances. One that is poisoned keeps its timer; the others go on.
func (t *timers) fireAll(ctx context.Context, due []Timer, fired map[string]bool) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var failure error
	free := make(chan struct{}, atOnce)
	for _, timer := range due {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			t.worker.Hooks.Fault(BeforeFiring)
			err := t.engine.tell(ctx, timer.Instance, "timer "+timer.ID, timerFired{timer.ID, t.worker.Now().UTC()})
			t.worker.Hooks.Fault(AfterFiring)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				fired[timer.ID] = true
				t.worker.fired(t.saga, timer)
			} else {
				failure = fmt.Errorf("timer %q of %s-%s: %w", timer.Name, t.saga, timer.Instance, err)
			}
		})
	}
	all.Wait()
	return failure
}

// mine returns the segments whose commands this worker dispatches.
func (t *timers) mine(ctx context.Context) (mine []subscription.Segment, err error) {
	head, err := t.worker.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	roster, err := t.worker.Sink.Leases(t.dispatching.model.Generation, head.Store).Roster(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range roster.Segments {
		if l.Holder == t.dispatching.id {
			mine = append(mine, l.Segment)
		}
	}
	return mine, nil
}

func holds(segments []subscription.Segment, stream eventstore.StreamID) bool {
	for _, s := range segments {
		if s.Holds(string(stream)) {
			return true
		}
	}
	return false
}

// ignoreNotBuilt is for the first moment: the view is opened by another part of the worker.
func ignoreNotBuilt(err error) error {
	if errors.Is(err, projection.ErrNotBuilt) {
		return nil
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
