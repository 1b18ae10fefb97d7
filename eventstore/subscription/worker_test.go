package subscription_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// shop is a log, and a read model of it that several workers keep: of each key, which events
// took effect, in the order in which they did.
type shop struct {
	store *memory.Store
	sink  *memory.Sink
	model projection.Model

	mu       sync.Mutex
	segments map[subscription.Segment]int // how often a window was applied there
}

func newShop(t testing.TB, keys, events int) *shop {
	t.Helper()
	s := &shop{store: memory.NewStore(), sink: memory.NewSink(), segments: map[subscription.Segment]int{}}
	s.model = projection.Model{Generation: projection.Generation{Name: "shop", Version: 1}, Hash: "shop"}
	require.NoError(t, s.sink.Open(t.Context(), s.model, identityOf(t, s.store)))
	s.add(t, keys, events)
	return s
}

// add appends events, round the keys.
func (s *shop) add(t testing.TB, keys, events int) {
	t.Helper()
	for n := range events {
		_, err := s.store.Append(context.Background(), eventstore.AppendRequest{Writes: []eventstore.Write{{
			Stream: eventstore.StreamID(fmt.Sprintf("item-%c%d", 'a'+n%20, n%keys)), Events: []eventstore.EventData{{Type: "some", Data: []byte("{}")}},
		}}})
		require.NoError(t, err)
	}
}

func (s *shop) leases(t testing.TB) subscription.Leases {
	t.Helper()
	return s.sink.Leases(s.model.Generation, identityOf(t, s.store).Store)
}

// segmentTarget applies what concerns the keys of a segment.
type segmentTarget struct {
	shop    *shop
	segment subscription.Segment
	mine    func(eventstore.Recorded) bool
}

func (t segmentTarget) Checkpoint(context.Context, eventstore.StoreID) (subscription.Checkpoint, error) {
	return subscription.Checkpoint{}, errors.New("a worker's target was asked for its checkpoint")
}

func (t segmentTarget) Apply(ctx context.Context, w subscription.Window) error {
	t.shop.mu.Lock()
	t.shop.segments[t.segment]++
	t.shop.mu.Unlock()
	return t.shop.sink.Transact(ctx, t.shop.model.Generation, projection.Move{From: w.From, To: w.To}, func(_ context.Context, tx *memory.Tx) error {
		for _, e := range w.Events {
			if t.mine(e) {
				key := keyOf(e)
				seen, _ := tx.Get("seen", key)
				list, _ := seen.([]eventstore.Position)
				tx.Put("seen", key, append(slices.Clone(list), e.Position))
			}
		}
		return nil
	})
}

func (s *shop) target(segment subscription.Segment) subscription.Target {
	return segmentTarget{s, segment, s.mine(segment)}
}

// keyOf returns the key of an event: several streams share one.
func keyOf(e eventstore.Recorded) string { return e.Stream.ID()[:1] }

func (s *shop) mine(segment subscription.Segment) func(eventstore.Recorded) bool {
	return func(e eventstore.Recorded) bool { return segment.Holds(keyOf(e)) }
}

func (s *shop) worker(t testing.TB, name string, segments int) *subscription.Worker {
	t.Helper()
	return &subscription.Worker{
		Name: "shop", ID: subscription.NewWorkerID(name), Log: s.store, Leases: s.leases(t), Target: s.target,
		Segments: segments, TTL: 300 * time.Millisecond, Options: subscription.Options{Window: 7},
	}
}

// run runs a worker until the returned function is called.
func run(t testing.TB, w *subscription.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// wrong says what of the log did not take effect once and in order on its key.
func (s *shop) wrong(t testing.TB) error {
	t.Helper()
	want := map[string][]eventstore.Position{}
	read, err := s.store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		want[keyOf(e)] = append(want[keyOf(e)], e.Position)
	}
	for key, positions := range want {
		seen, _ := s.sink.Value("seen", key)
		if list, _ := seen.([]eventstore.Position); !slices.Equal(list, positions) {
			return wrong("events of "+key, list, positions)
		}
	}
	return nil
}

func (s *shop) caughtUp(t testing.TB) func() bool {
	return func() bool {
		at, err := s.sink.Checkpoint(t.Context(), s.model.Generation, identityOf(t, s.store).Store)
		require.NoError(t, err)
		head, err := s.store.Head(t.Context())
		require.NoError(t, err)
		return at.Position() == head.Position
	}
}

const soon, often = 20 * time.Second, 5 * time.Millisecond

func TestOneWorkerAppliesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 20, 500)
		stop := run(t, s.worker(t, "a", 1))
		defer stop()
		require.Eventually(t, s.caughtUp(t), soon, often)
		s.add(t, 20, 50)
		require.Eventually(t, s.caughtUp(t), soon, often)
		stop()
		require.NoError(t, s.wrong(t))
		roster, err := s.leases(t).Roster(t.Context())
		require.NoError(t, err)
		require.Empty(t, roster.Workers, "it has said that it goes")
		require.Empty(t, roster.Segments[0].Holder, "and others need not wait for the lease to end")
	})
}

func TestWorkersShareTheSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 200)
		for _, name := range []string{"a", "b", "c"} {
			defer run(t, s.worker(t, name, 6))()
		}
		require.Eventually(t, func() bool {
			roster, err := s.leases(t).Roster(t.Context())
			require.NoError(t, err)
			holds := map[subscription.WorkerID]int{}
			for _, l := range roster.Segments {
				holds[l.Holder]++
			}
			return len(roster.Segments) == 6 && len(holds) == 3 && holds[""] == 0 && !slices.Contains([]int{holds[roster.Workers[0]], holds[roster.Workers[1]], holds[roster.Workers[2]]}, 3)
		}, soon, often, "two each")
		s.add(t, 50, 200)
		require.Eventually(t, s.caughtUp(t), soon, often)
		require.NoError(t, s.wrong(t))
	})
}

// Four segments of one worker wait for one wake-up, and what is appended is read and prepared
// once for all of them. Their checkpoints move though nothing matches.
func TestSegmentsOfAWorkerReadTheLogOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 20, 100)
		var reads, waits, prepared atomic.Int32
		w := s.worker(t, "a", 4)
		w.Query = eventstore.Types("rare")
		w.Log = notifying{log{LogReader: s.store, read: func(query eventstore.LogQuery) (*eventstore.LogRead, error) {
			reads.Add(1)
			return s.store.ReadLog(context.Background(), query)
		}}, counting{s.store, &waits}}
		w.Options.Prepare = func([]eventstore.Recorded) any { return prepared.Add(1) }
		defer run(t, w)()
		segments := func() []subscription.Lease {
			roster, err := s.leases(t).Roster(t.Context())
			require.NoError(t, err)
			return roster.Segments
		}
		require.Eventually(t, func() bool { return len(segments()) == 4 && s.caughtUp(t)() }, soon, often)
		synctest.Wait()
		s.add(t, 20, 1) // so far each may have waited for itself
		synctest.Wait()
		for range 10 {
			for _, n := range []*atomic.Int32{&reads, &waits, &prepared} {
				n.Store(0)
			}
			s.add(t, 20, 1)
			synctest.Wait()
			require.Equal(t, []int32{1, 1, 1}, []int32{reads.Load(), waits.Load(), prepared.Load()})
			head, err := s.store.Head(t.Context())
			require.NoError(t, err)
			for _, l := range segments() {
				require.Equal(t, head.Position, l.Position(), "segment %s", l.Segment)
			}
		}
	})
}

// counting counts who waits.
type counting struct {
	eventstore.Notifier
	waits *atomic.Int32
}

func (c counting) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	c.waits.Add(1)
	return c.Notifier.WaitAppended(ctx, beyond)
}

func TestSegmentsAreMergedUntilThereAreAsManyAsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 300)
		stop := run(t, s.worker(t, "a", 8))
		require.Eventually(t, func() bool {
			roster, err := s.leases(t).Roster(t.Context())
			return err == nil && len(roster.Segments) == 8
		}, soon, often)
		stop()
		defer run(t, s.worker(t, "b", 2))()
		defer run(t, s.worker(t, "c", 2))()
		require.Eventually(t, func() bool {
			s.add(t, 50, 1)
			roster, err := s.leases(t).Roster(t.Context())
			return err == nil && len(roster.Segments) == 2 && roster.Segments[0].Holder != roster.Segments[1].Holder
		}, soon, often)
		require.Eventually(t, s.caughtUp(t), soon, often)
		require.NoError(t, s.wrong(t))
	})
}

// attended counts how often a worker attends.
type attended struct {
	subscription.Leases
	times *atomic.Int32
}

func (l attended) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	l.times.Add(1)
	return l.Leases.Attend(ctx, worker, ttl, reports)
}

// What waits for its neighbours does not wait longer than it must.
func TestAllNeighboursAreMergedInOneTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 300)
		segments := func(n int) func() bool {
			return func() bool {
				roster, err := s.leases(t).Roster(t.Context())
				return err == nil && len(roster.Segments) == n
			}
		}
		stop := run(t, s.worker(t, "a", 16))
		require.Eventually(t, segments(16), soon, often)
		stop()
		var turns atomic.Int32
		w := s.worker(t, "b", 1)
		w.Leases = attended{w.Leases, &turns}
		defer run(t, w)()
		require.Eventually(t, segments(1), soon, often)
		require.Less(t, turns.Load(), int32(8), "one pair a turn would take 15; it looks again before we do")
		require.Eventually(t, s.caughtUp(t), soon, often)
		require.NoError(t, s.wrong(t))
	})
}

// Two builds that want other numbers of segments: the first of the workers is content, the other
// would have it merge. No segment is left alone for that.
func TestWorkersThatDisagreeGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 300)
		stop := run(t, s.worker(t, "a", 3))
		require.Eventually(t, func() bool {
			roster, err := s.leases(t).Roster(t.Context())
			return err == nil && len(roster.Segments) == 3
		}, soon, often)
		defer run(t, s.worker(t, "b", 1))()
		defer run(t, s.worker(t, "c", 1))()
		time.Sleep(time.Second)
		s.add(t, 50, 50)
		require.Eventually(t, s.caughtUp(t), soon, often)
		stop()
		s.add(t, 50, 50)
		require.Eventually(t, s.caughtUp(t), soon, often)
		require.NoError(t, s.wrong(t))
	})
}

// Workers come and go, some without a word, while segments are split and merged: every event
// takes effect once, in the order of its key, and the work goes on. Each mutant breaks that.
func TestChurn(t *testing.T) {
	require.NoError(t, churn(t, func(*shop, *subscription.Worker) {}))
}

func TestChurnCatchesItsMutants(t *testing.T) {
	for name, mine := range map[string]func(segment subscription.Segment, e eventstore.Recorded) bool{
		"keys are divided by the stream, not by the key": func(segment subscription.Segment, e eventstore.Recorded) bool { return segment.Holds(string(e.Stream)) },
		"every segment applies every key":                func(subscription.Segment, eventstore.Recorded) bool { return true },
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, churn(t, func(s *shop, w *subscription.Worker) {
				w.Target = func(segment subscription.Segment) subscription.Target {
					return segmentTarget{s, segment, func(e eventstore.Recorded) bool { return mine(segment, e) }}
				}
			}))
		})
	}
}

// A worker that is stopped for longer than its lease, in the middle of a window that another
// one has applied meanwhile, changes nothing when it wakes up. The mutant moves the
// checkpoint blindly.
func TestAZombieChangesNothing(t *testing.T) {
	require.NoError(t, zombie(t, func(next segmentTarget) subscription.Target { return next }))
	require.Error(t, zombie(t, func(next segmentTarget) subscription.Target { return blindTarget{next} }))
}

func zombie(t *testing.T, wake func(segmentTarget) subscription.Target) (err error) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 10, 50)
		p := &pause{asleep: make(chan struct{}), wake: make(chan struct{}), done: make(chan struct{})}
		w := s.worker(t, "zombie", 1)
		w.Leases = pausedLeases{w.Leases, p}
		w.Target = func(segment subscription.Segment) subscription.Target {
			return &pausedTarget{wake(segmentTarget{s, segment, s.mine(segment)}), p}
		}
		defer run(t, w)()
		<-p.asleep
		defer run(t, s.worker(t, "other", 1))()
		require.Eventually(t, s.caughtUp(t), soon, often)
		close(p.wake)
		<-p.done
		err = s.wrong(t)
	})
	return err
}

// pause stops a worker as SIGSTOP does, in the middle of its first window.
type pause struct {
	once               sync.Once
	asleep, wake, done chan struct{}
}

type pausedTarget struct {
	subscription.Target
	*pause
}

func (t *pausedTarget) Apply(ctx context.Context, w subscription.Window) error {
	first := false
	t.once.Do(func() {
		first = true
		close(t.asleep)
		<-t.wake
	})
	err := t.Target.Apply(ctx, w)
	if first {
		close(t.done)
	}
	return err
}

type pausedLeases struct {
	subscription.Leases
	*pause
}

func (l pausedLeases) Attend(ctx context.Context, w subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	select {
	case <-l.asleep:
		<-l.done
	default:
	}
	return l.Leases.Attend(ctx, w, ttl, reports)
}

// blindTarget moves the checkpoint of its segment wherever it stands.
type blindTarget struct{ segmentTarget }

func (t blindTarget) Apply(ctx context.Context, w subscription.Window) error {
	roster, err := t.shop.sink.Leases(t.shop.model.Generation, w.From.Source.Store).Roster(ctx)
	if err != nil {
		return err
	}
	w.From = roster.Segments[0].Checkpoint
	return t.segmentTarget.Apply(ctx, w)
}

func churn(t *testing.T, plant func(*shop, *subscription.Worker)) (err error) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 160, 2000)
		var stops []func()
		for n := range 24 {
			w := s.worker(t, fmt.Sprint("w", n), []int{5, 1, 8, 3}[n/6])
			plant(s, w)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			if n%3 == 1 { // goes without a word: its leases end by themselves
				w.Leases = mute{w.Leases}
			}
			go func() { done <- w.Run(ctx) }()
			stops = append(stops, func() { cancel(); <-done })
			s.add(t, 160, 20)
			time.Sleep(60 * time.Millisecond)
			if n >= 2 {
				stops[n-2]()
			}
		}
		last := s.worker(t, "last", 4)
		plant(s, last)
		defer run(t, last)()
		for deadline := time.Now().Add(soon); !s.caughtUp(t)(); time.Sleep(often) {
			if time.Now().After(deadline) {
				err = errors.New("the work does not go on")
				return
			}
		}
		for _, stop := range stops[len(stops)-2:] {
			stop()
		}
		err = s.wrong(t)
	})
	return err
}

// mute never gives anything back.
type mute struct{ subscription.Leases }

func (m mute) Release(context.Context, subscription.WorkerID, subscription.Checkpoint) error {
	return nil
}

func (m mute) Attend(ctx context.Context, w subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	if ttl == 0 {
		return subscription.Roster{}, nil
	}
	return m.Leases.Attend(ctx, w, ttl, reports)
}
