package saga

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// task is what is to do because of an event, for one key. Tasks of one key are done in order, but for those
// that may be done beside the one before them.
type task struct {
	key    string // empty: nobody knows whose it is
	event  *eventstore.Recorded
	beside bool
	do     func(ctx context.Context) error // nil: nobody knows,
	err    error                           // because of this
}

// target does the tasks of each window and then moves the checkpoint. What a task does has an id of
// its own, so that a window that is begun again takes no further effect. A key whose task is
// poisoned is parked: it is left alone from that event on, and the others go on.
type target struct {
	sink      projection.Sink
	model     projection.Model
	segment   subscription.Segment
	tasks     func(source eventstore.StoreID, event *eventstore.Recorded) []task
	maxParked int
	fault     func(Point)
	now       func() time.Time

	parks  int64 // of the checkpoint at which the parked keys were read
	parked map[string]eventstore.Position
}

// atOnce is how many keys are worked on at a time. The store appends them together.
const atOnce = 64

func (t *target) Checkpoint(ctx context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	return t.sink.Checkpoint(ctx, t.model.Generation, source)
}

func (t *target) Apply(ctx context.Context, w subscription.Window) error {
	if err := t.refresh(ctx, w.From); err != nil {
		return err
	}
	park, err := t.doAll(ctx, w)
	if err != nil {
		return err
	}
	move := projection.Move{From: w.From, To: w.To, Park: park}
	if len(park) > 0 {
		if all := len(t.parked) + len(park); all > t.maxParked {
			return fmt.Errorf("%w: %d instances of segment %s are parked: %s", subscription.ErrPermanent, all, t.segment, park[0].Cause)
		}
		move.To.Parks++
	}
	t.fault(BeforeCheckpoint)
	if err := t.sink.Commit(ctx, t.model, move, nil); err != nil {
		return err
	}
	t.fault(AfterCheckpoint)
	if len(park) > 0 {
		// The subscription knows of nobody who is parked, and would begin the next window at a checkpoint
		// without them, where they are told more. It shall read the checkpoint again.
		return subscription.ErrStale
	}
	return nil
}

// refresh reads which keys are parked, if that has changed.
func (t *target) refresh(ctx context.Context, at subscription.Checkpoint) error {
	if t.parks == at.Parks {
		return nil
	}
	all, err := t.sink.Parked(ctx, t.model.Generation, at.Source.Store)
	if err != nil {
		return fmt.Errorf("read what is parked: %w", err)
	}
	t.parks, t.parked = at.Parks, map[string]eventstore.Position{}
	for _, p := range all {
		if t.segment.Holds(p.Key) {
			t.parked[p.Key] = p.Event.Position
		}
	}
	return nil
}

// doAll does what the window asks for, of several keys at a time. It returns the keys to park.
func (t *target) doAll(ctx context.Context, w subscription.Window) (park []projection.Parked, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	var all sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for _, tasks := range t.byKey(w) {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			failed, failure := inOrder(ctx, tasks)
			mu.Lock()
			defer mu.Unlock()
			if isPoison(failure) {
				park = append(park, t.parkedAt(failed, failure))
			} else if failure != nil && err == nil {
				err = failure
				stop()
			}
		})
	}
	all.Wait()
	slices.SortFunc(park, func(a, b projection.Parked) int { return int(a.Event.Position - b.Event.Position) })
	return park, err
}

// byKey returns the tasks of the segment, those of each key together, without those of parked keys.
func (t *target) byKey(w subscription.Window) (groups [][]task) {
	index := map[string]int{}
	for n := range w.Events {
		event := &w.Events[n]
		for _, task := range t.tasks(w.To.Source.Store, event) {
			if task.key == "" {
				task.key = t.standIn(event.Stream)
			}
			if since, parked := t.parked[task.key]; !t.segment.Holds(task.key) || parked && since <= event.Position {
				continue
			}
			at, known := index[task.key]
			if !known {
				at = len(groups)
				index[task.key] = at
				groups = append(groups, nil)
			}
			groups[at] = append(groups[at], task)
		}
	}
	return groups
}

// standIn returns the key under which an event is parked of which nobody knows whose it is: its stream, or,
// in a segment that does not have that key, the stream with a number. Each segment parks it by itself: the
// worker of another one may be of a build that knows whose it is, and leaves it to the segment of that instance.
func (t *target) standIn(stream eventstore.StreamID) string {
	key := string(stream)
	for n := 2; !t.segment.Holds(key); n++ {
		key = fmt.Sprintf("%s (%d)", stream, n)
	}
	return key
}

// standsFor reports whether the key stands in for a stream.
func standsFor(key string, stream eventstore.StreamID) bool {
	return key == string(stream) || strings.HasPrefix(key, string(stream)+" (")
}

// inOrder does the tasks until one fails, and returns the first that does. Those that may be done beside the
// one before them are done at the same time as that.
func inOrder(ctx context.Context, tasks []task) (failed task, err error) {
	for from := 0; from < len(tasks); {
		to := from + 1
		for to < len(tasks) && tasks[to].beside {
			to++
		}
		if failed, err := together(ctx, tasks[from:to]); err != nil {
			return failed, err
		}
		from = to
	}
	return task{}, nil
}

// together does the tasks at the same time. If several fail it returns one that is not poisoned, which is
// tried again with the others, or else the first.
func together(ctx context.Context, tasks []task) (failed task, err error) {
	failures := make([]error, len(tasks))
	var all sync.WaitGroup
	for n, one := range tasks {
		all.Go(func() { failures[n] = one.run(ctx) })
	}
	all.Wait()
	for n, one := range tasks {
		if failure := failures[n]; failure != nil && (err == nil || isPoison(err) && !isPoison(failure)) {
			failed, err = one, failure
		}
	}
	return failed, err
}

func (t task) run(ctx context.Context) error {
	if t.err != nil {
		return t.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.do(ctx)
}

func (t *target) parkedAt(failed task, err error) projection.Parked {
	return projection.Parked{
		Key: failed.key, Event: eventstore.Anchor{Position: failed.event.Position, EventID: failed.event.ID},
		Type: failed.event.Type, Cause: reasonOf(err), At: t.now().UTC().Truncate(time.Microsecond),
	}
}
