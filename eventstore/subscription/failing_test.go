package subscription_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// failingTarget fails for segments that begin where it says, until it is mended.
type failingTarget struct {
	segmentTarget
	first  eventstore.Slice
	err    error
	mended *atomic.Bool
}

func (t failingTarget) Apply(ctx context.Context, w subscription.Window) error {
	if t.segment.First == t.first && len(w.Events) > 0 && !t.mended.Load() {
		return t.err
	}
	return t.segmentTarget.Apply(ctx, w)
}

func (s *shop) checkpoints(t testing.TB) (all []subscription.Checkpoint) {
	t.Helper()
	roster, err := s.leases(t).Roster(t.Context())
	require.NoError(t, err)
	for _, l := range roster.Segments {
		all = append(all, l.Checkpoint)
	}
	return all
}

// A segment that fails cannot be brought to where its neighbour is. That is no reason for the
// neighbour to stand still, or for the worker to end.
func TestASegmentThatFailsHoldsUpNobody(t *testing.T) {
	for name, failure := range map[string]error{
		"for good": fmt.Errorf("%w: it does not decode", subscription.ErrPermanent),
		"perhaps":  errors.New("a handler's own error"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t, 50, 0)
				var mended atomic.Bool
				mended.Store(true)
				failing := func(name string, segments int) *subscription.Worker {
					w := s.worker(t, name, segments)
					w.Target = func(segment subscription.Segment) subscription.Target {
						return failingTarget{segmentTarget{s, segment, s.mine(segment)}, 0, failure, &mended}
					}
					return w
				}
				stop := run(t, failing("a", 2))
				require.Eventually(t, func() bool { return len(s.checkpoints(t)) == 2 }, soon, often)
				mended.Store(false)
				s.add(t, 50, 100)
				behind := func() bool {
					at := s.checkpoints(t)
					head, err := s.store.Head(t.Context())
					require.NoError(t, err)
					return len(at) == 2 && at[0].Position() < head.Position && at[1].Position() == head.Position
				}
				require.Eventually(t, behind, soon, often)
				stop()
				stops := []func(){run(t, failing("b", 1)), run(t, failing("c", 1))} // which want one segment
				for range 20 {
					s.add(t, 50, 10)
					require.Eventually(t, behind, 3*time.Second, often, "the other segment goes on")
				}
				for _, stop := range stops {
					stop()
				}
				mended.Store(true)
				defer run(t, failing("d", 1))()
				require.Eventually(t, func() bool { return len(s.checkpoints(t)) == 1 && s.caughtUp(t)() }, soon, often)
				require.NoError(t, s.wrong(t))
			})
		})
	}
}

// hangingTarget does not return while it hangs, whatever its context says.
type hangingTarget struct {
	segmentTarget
	first eventstore.Slice
	hang  *atomic.Pointer[chan struct{}]
	hangs chan struct{}
}

func (t hangingTarget) Apply(ctx context.Context, w subscription.Window) error {
	if wake := t.hang.Load(); wake != nil && t.segment.First == t.first {
		select {
		case t.hangs <- struct{}{}:
		default:
		}
		<-*wake
	}
	return t.segmentTarget.Apply(ctx, w)
}

// A target that does not return when it should stop: the worker keeps its other segments, the
// one that hangs is taken over, and somebody is told.
func TestATargetThatHangsHoldsUpItsSegmentAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 20)
		const high = eventstore.Slices / 2
		wake, hangs := make(chan struct{}), make(chan struct{}, 1)
		var hang atomic.Pointer[chan struct{}]
		told := make(chan error, 100)
		a := s.worker(t, "a", 2)
		a.Target = func(segment subscription.Segment) subscription.Target {
			return hangingTarget{segmentTarget{s, segment, s.mine(segment)}, high, &hang, hangs}
		}
		a.OnError = func(err error) { told <- err }
		stopA := run(t, a)
		require.Eventually(t, func() bool { return len(s.checkpoints(t)) == 2 && s.caughtUp(t)() }, soon, often)
		hang.Store(&wake)
		s.add(t, 50, 20)
		<-hangs
		low := s.checkpoints(t)[0]
		b := s.worker(t, "b", 2)
		stopB := run(t, b)
		require.Eventually(t, s.caughtUp(t), soon, often, "b takes over what hangs")
		require.ErrorContains(t, <-told, "does not stop")
		roster, err := s.leases(t).Roster(t.Context())
		require.NoError(t, err)
		require.Equal(t, a.ID, roster.Segments[0].Holder)
		require.Equal(t, low.Fence, roster.Segments[0].Fence, "a has never lost it")
		require.Equal(t, b.ID, roster.Segments[1].Holder)
		hang.Store(nil)
		close(wake)
		s.add(t, 50, 20)
		require.Eventually(t, s.caughtUp(t), soon, often)
		stopA()
		stopB()
		require.NoError(t, s.wrong(t))
	})
}

// A store that is busy is waited for, but not in silence.
func TestASegmentSaysThatItsStoreStaysBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 20)
		var mended atomic.Bool
		reports := make(chan subscription.Report, 100)
		w := s.worker(t, "a", 1)
		w.Target = func(segment subscription.Segment) subscription.Target {
			return failingTarget{segmentTarget{s, segment, s.mine(segment)}, 0, fmt.Errorf("locked by somebody: %w", eventstore.ErrStoreBusy), &mended}
		}
		w.OnReport = func(r subscription.Report) { reports <- r }
		defer run(t, w)()
		select {
		case r := <-reports:
			require.Equal(t, subscription.Waiting, r.State)
			require.Contains(t, r.Note, "locked by somebody")
		case <-time.After(time.Minute):
			t.Fatal("nobody is told")
		}
		time.Sleep(time.Minute)
		require.Empty(t, reports, "once is enough")
		mended.Store(true)
		require.Equal(t, subscription.Running, (<-reports).State)
		require.Eventually(t, s.caughtUp(t), soon, often)
	})
}

// How long a segment rests after a failure depends on how often it has failed in a row, not in
// its life.
func TestASegmentThatHasRecoveredRestsShortlyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 0)
		var mended atomic.Bool
		mended.Store(true)
		reports := make(chan subscription.Report, 100)
		w := s.worker(t, "a", 1)
		w.Target = func(segment subscription.Segment) subscription.Target {
			return failingTarget{segmentTarget{s, segment, s.mine(segment)}, 0, errors.New("away"), &mended}
		}
		w.OnReport = func(r subscription.Report) { reports <- r }
		defer run(t, w)()
		for range 10 {
			mended.Store(false)
			s.add(t, 50, 1)
			require.Equal(t, subscription.Waiting, (<-reports).State)
			mended.Store(true)
			failed := time.Now()
			require.Equal(t, subscription.Running, (<-reports).State)
			require.Less(t, time.Since(failed), 2*time.Second)
		}
	})
}

func TestATimeThatIsNoneIsTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 20)
		w := s.worker(t, "a", 1)
		w.TTL = -time.Second
		stop := sync.OnceFunc(run(t, w))
		defer stop()
		require.Eventually(t, s.caughtUp(t), soon, often)
		stop()
		require.NoError(t, s.wrong(t))
	})
}

// hungLeases has calls that are not answered.
type hungLeases struct {
	subscription.Leases
	hang *atomic.Bool
}

func (l hungLeases) Attend(ctx context.Context, w subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	if l.hang.CompareAndSwap(true, false) {
		<-ctx.Done()
		return subscription.Roster{}, ctx.Err()
	}
	return l.Leases.Attend(ctx, w, ttl, reports)
}

// An answer that never comes, as of a server that was cut off, is not waited for for ever.
func TestAWorkerGoesOnAfterACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 20)
		var hang atomic.Bool
		told := make(chan error, 100)
		w := s.worker(t, "a", 2)
		w.Leases = hungLeases{w.Leases, &hang}
		w.OnError = func(err error) { told <- err }
		stop := run(t, w)
		defer stop()
		require.Eventually(t, s.caughtUp(t), soon, often)
		hang.Store(true)
		select {
		case err := <-told:
			require.ErrorIs(t, err, context.DeadlineExceeded)
		case <-time.After(time.Minute):
			t.Fatal("it waits for ever")
		}
		s.add(t, 50, 20)
		require.Eventually(t, s.caughtUp(t), soon, often)
		stop()
		require.NoError(t, s.wrong(t))
	})
}

// eventError is a failure that one event is to blame for.
type eventError struct{ eventstore.Anchor }

func (eventError) Error() string                           { return "it does not fit" }
func (e eventError) FailedAt() (eventstore.Anchor, string) { return e.Anchor, "order.placed" }

// The TTL is an hour, and a worker attends every twenty minutes.
func TestAFailureIsSeenWithinSecondsWithItsEventAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, 50, 20)
		var mended atomic.Bool
		event := eventstore.Anchor{Position: 7, EventID: eventstore.EventID{7}}
		w := s.worker(t, "a", 1)
		w.TTL = time.Hour
		w.Target = func(segment subscription.Segment) subscription.Target {
			return failingTarget{segmentTarget{s, segment, s.mine(segment)}, 0, fmt.Errorf("shop: %w", eventError{event}), &mended}
		}
		defer run(t, w)()
		reported := func() subscription.Report {
			synctest.Wait()
			roster, err := w.Leases.Roster(t.Context())
			require.NoError(t, err)
			return roster.Segments[0].Report
		}
		time.Sleep(5 * time.Second)
		first := reported()
		require.Equal(t, subscription.Waiting, first.State)
		require.Contains(t, first.Note, "it does not fit")
		require.Equal(t, event, first.Event)
		require.Equal(t, "order.placed", first.Type)

		time.Sleep(10 * time.Minute)
		require.Equal(t, first.At, reported().At, "it has failed since then")
		mended.Store(true)
		time.Sleep(time.Minute)
		last := reported()
		require.Equal(t, subscription.Running, last.State)
		require.Zero(t, last.Event)
		require.Empty(t, last.Note+last.Type)
	})
}
