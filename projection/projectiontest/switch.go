package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// leanTally is a tally with other columns.
type leanTally struct {
	ID     string `leftfold:"key"`
	Half   float64
	Events int64
}

// leanTallies is a view whose struct was changed.
func leanTallies(version int) *projection.View[leanTally] {
	return projection.NewView("tallies", projection.ViewOptions{Version: version, Indexes: []string{"events"}},
		projection.When(func(row *leanTally, _ counted, _ eventstore.Recorded) {
			row.Events++
			row.Half = float64(row.Events) / 2
		}))
}

// SQLView reads how many events the SQL view of the tallies has counted for a key.
type SQLView func(ctx context.Context, key string) (events int64, err error)

// RunSwitch has readers ask about 1,000 times a second, through typed readers and through
// the SQL view if there is one, while a generation with a changed struct replaces the live one,
// and then one with the same struct: no error, and never an older answer than before.
func RunSwitch(t *testing.T, p Parts, view SQLView) {
	t.Helper()
	asked, err := CheckSwitch(t.Context(), p, view)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d answers while two generations were replaced", asked)
}

// CheckSwitch is RunSwitch that returns what is wrong, for a test that plants a bug. It returns
// how many answers there were.
func CheckSwitch(ctx context.Context, p Parts, view SQLView) (asked int64, err error) {
	ctx, stop := context.WithTimeout(ctx, clauseTimeout)
	defer stop()
	const events = 2_000
	for n := range events / 5 {
		if _, err := p.append(ctx, fmt.Sprintf("s%d", n%4), counted{1}, counted{1}, counted{1}, counted{1}, counted{1}); err != nil {
			return 0, err
		}
	}
	s := &switching{Parts: p, view: view}
	defer s.all.Wait()
	defer stop()
	s.run(ctx, stop, func(ctx context.Context) error { return p.building(projection.Into(p.Sink, talliesAt(1))).Run(ctx) })
	s.run(ctx, stop, func(ctx context.Context) error { return p.keepAppending(ctx, 4, 2*time.Millisecond) })
	typed := func(version int) reader {
		if version == 2 {
			return lean(projection.NewReader(p.Sink, leanTallies(version)))
		}
		return full(projection.NewReader(p.Sink, talliesAt(version)))
	}
	if err := p.agreesWhen(ctx, 1); err != nil {
		return 0, err
	}
	for n := range 4 {
		key := fmt.Sprintf("s%d", n)
		s.run(ctx, stop, func(ctx context.Context) error { return s.askTyped(ctx, key, typed) })
		if view != nil {
			s.run(ctx, stop, func(ctx context.Context) error { return s.askView(ctx, key) })
		}
	}
	err = s.switchTo(ctx, stop, 2, projection.Into(p.Sink, leanTallies(2)))
	if err == nil {
		err = s.switchTo(ctx, stop, 3, projection.Into(p.Sink, talliesAt(3)))
	}
	stop()
	s.all.Wait()
	return s.asked.Load(), errors.Join(s.failed(), err)
}

func (p Parts) building(task projection.Task) projection.Worker {
	return projection.Worker{Log: p.Store, Events: tallyEvents, TTL: time.Second, Window: 50, Tasks: []projection.Task{task}}
}

// agreesWhen waits until a version is caught up or its worker has brought it near.
func (p Parts) agreesWhen(ctx context.Context, version int) error {
	for ctx.Err() == nil {
		status, err := projection.StatusOf(ctx, p.Store, p.Sink, talliesAt(version).Generation())
		if err != nil || len(status.Segments) > 0 && status.Lag() < 100 {
			return err
		}
		runtime.Gosched()
	}
	return ctx.Err()
}

// reader returns the events that a typed reader sees.
type reader func(ctx context.Context, key string) (int64, error)

func full(r *projection.Reader[tally]) reader {
	return func(ctx context.Context, key string) (int64, error) {
		row, err := r.Get(ctx, key)
		return row.Events, err
	}
}

func lean(r *projection.Reader[leanTally]) reader {
	return func(ctx context.Context, key string) (int64, error) {
		row, err := r.Get(ctx, key)
		if err == nil && row.Half*2 != float64(row.Events) {
			err = fmt.Errorf("the row is of two versions: %+v", row)
		}
		return row.Events, err
	}
}

// switching is what runs during the replacement of a generation.
type switching struct {
	Parts
	view  SQLView
	all   sync.WaitGroup
	asked atomic.Int64
	mu    sync.Mutex
	errs  []error
}

// run runs something until ctx ends. If it fails, it stops everything.
func (s *switching) run(ctx context.Context, stop func(), do func(ctx context.Context) error) {
	s.all.Go(func() {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.mu.Lock()
			s.errs = append(s.errs, err)
			s.mu.Unlock()
			stop()
		}
	})
}

func (s *switching) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.errs...)
}

// switchTo runs the worker of a new program until its version is live and some answers have come
// from it.
func (s *switching) switchTo(ctx context.Context, stop func(), version int, task projection.Task) error {
	s.run(ctx, stop, func(ctx context.Context) error { return s.building(task).Run(ctx) })
	for ctx.Err() == nil {
		live, err := s.liveVersion(ctx)
		if err != nil {
			return errors.Join(err, s.failed())
		}
		if live == version {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for goal := s.asked.Load() + 500; s.asked.Load() < goal && ctx.Err() == nil; {
		time.Sleep(time.Millisecond)
	}
	return errors.Join(ctx.Err(), s.failed())
}

// each is the pause of eight readers that ask 1,000 times a second together.
const each = 8 * time.Millisecond

// rises checks that an answer is not older than the last one.
func (s *switching) rises(what string, last *int64, seen int64) error {
	s.asked.Add(1)
	if seen < *last {
		return fmt.Errorf("%s: a step backwards, from %d events to %d", what, *last, seen)
	}
	*last = seen
	return nil
}

// askView asks the SQL view.
func (s *switching) askView(ctx context.Context, key string) error {
	var last int64
	tick := time.NewTicker(each)
	defer tick.Stop()
	for ; ctx.Err() == nil; <-tick.C {
		seen, err := s.view(ctx, key)
		if err := first(err, s.rises("the SQL view, "+key, &last, seen)); err != nil {
			return fmt.Errorf("the SQL view: %w", err)
		}
	}
	return nil
}

// askTyped asks the reader of the old program until the next version is live, and then that of
// the new one. What the old one answers after that does not count: its worker may be
// ahead of the new one's by then.
func (s *switching) askTyped(ctx context.Context, key string, typed func(version int) reader) error {
	var last int64
	version := 1
	ask, next := typed(1), typed(2)
	tick := time.NewTicker(each)
	defer tick.Stop()
	for ; ctx.Err() == nil; <-tick.C {
		live, err := s.liveVersion(ctx)
		if err != nil {
			return err
		}
		if live > version {
			version, ask, next = version+1, next, typed(version+2)
		}
		seen, err := ask(ctx, key)
		if err != nil {
			return fmt.Errorf("reader of version %d: %w", version, err)
		}
		if now, err := s.liveVersion(ctx); err != nil || now > version {
			continue
		}
		if err := s.rises(fmt.Sprintf("reader of version %d, %s", version, key), &last, seen); err != nil {
			return err
		}
	}
	return nil
}
