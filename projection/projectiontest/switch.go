package projectiontest

import (
	"context"
	"errors"
	"fmt"
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

// RunSwitch has readers ask more than 1,000 times a second, as far as the machine can, through
// typed readers and through the SQL view if there is one, while a generation with a changed struct
// replaces the live one, and then one with the same struct: no error, and never an older answer
// than before. The log of the test tells the rate.
func RunSwitch(t *testing.T, p Parts, view SQLView) {
	t.Helper()
	asked, err := CheckSwitch(t.Context(), p, view)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(asked)
}

// Asked is how many answers readers had while generations were built and replaced, and in which
// time.
type Asked struct {
	Answers int64
	Took    time.Duration
}

func (a Asked) String() string {
	return fmt.Sprintf("%d answers while two generations were built and replaced, %.0f a second", a.Answers, float64(a.Answers)/a.Took.Seconds())
}

// CheckSwitch is RunSwitch that returns what is wrong, for a test that plants a bug.
func CheckSwitch(ctx context.Context, p Parts, view SQLView) (Asked, error) {
	ctx, stop := context.WithTimeout(ctx, clauseTimeout)
	defer stop()
	const events = 2_000
	for n := range events / 5 {
		if _, err := p.append(ctx, fmt.Sprintf("s%d", n%4), counted{1}, counted{1}, counted{1}, counted{1}, counted{1}); err != nil {
			return Asked{}, err
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
	if err := p.comesNear(ctx, talliesAt(1).Generation(), 100); err != nil {
		return Asked{}, errors.Join(err, s.failed())
	}
	for n := range readers {
		key := fmt.Sprintf("s%d", n)
		s.run(ctx, stop, func(ctx context.Context) error { return s.askTyped(ctx, key, typed) })
		if view != nil {
			s.run(ctx, stop, func(ctx context.Context) error { return s.askView(ctx, key) })
		}
	}
	err := s.switchTo(ctx, stop, 2, projection.Into(p.Sink, leanTallies(2)))
	if err == nil {
		err = s.switchTo(ctx, stop, 3, projection.Into(p.Sink, talliesAt(3)))
	}
	stop()
	s.all.Wait()
	return s.total, errors.Join(s.failed(), err)
}

func (p Parts) building(task projection.Task) projection.Worker {
	return projection.Worker{Log: p.Store, Events: tallyEvents, TTL: time.Second, Window: 50, Tasks: []projection.Task{task}}
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
	total Asked // until the last generation was live
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
	before, start := s.asked.Load(), time.Now()
	s.run(ctx, stop, func(ctx context.Context) error { return s.building(task).Run(ctx) })
	err := s.changesUntil(ctx, func() (bool, error) {
		live, err := s.liveVersion(ctx)
		return live == version, err
	})
	s.total.Answers += s.asked.Load() - before
	s.total.Took += time.Since(start)
	goal := s.asked.Load() + 500
	if err == nil { // its worker commits what is appended meanwhile
		err = s.changesUntil(ctx, func() (bool, error) { return s.asked.Load() >= goal, nil })
	}
	return errors.Join(err, s.failed())
}

// How many readers of each kind there are, and how often each of them asks.
const (
	readers = 4
	each    = time.Second * readers / 750
)

// keepAsking calls ask every so often, and at once where it is late, until ctx ends.
func keepAsking(ctx context.Context, ask func() error) error {
	for next := time.Now(); ; next = next.Add(each) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
		if err := ask(); err != nil {
			return err
		}
	}
}

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
	return keepAsking(ctx, func() error {
		seen, err := s.view(ctx, key)
		if err := first(err, s.rises("the SQL view, "+key, &last, seen)); err != nil {
			return fmt.Errorf("the SQL view: %w", err)
		}
		return nil
	})
}

// askTyped asks the reader of the old program until the next version is live, and then that of
// the new one. What the old one answers after that does not count: its worker may be
// ahead of the new one's by then.
func (s *switching) askTyped(ctx context.Context, key string, typed func(version int) reader) error {
	var last int64
	version, ask := 1, typed(1)
	return keepAsking(ctx, func() error {
		seen, err := ask(ctx, key)
		if err != nil {
			return fmt.Errorf("reader of version %d: %w", version, err)
		}
		live, err := s.liveVersion(ctx)
		if err != nil {
			return err
		}
		if live > version {
			version, ask = version+1, typed(version+1)
			return nil
		}
		return s.rises(fmt.Sprintf("reader of version %d, %s", version, key), &last, seen)
	})
}
