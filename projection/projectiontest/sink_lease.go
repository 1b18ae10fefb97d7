package projectiontest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

const (
	ann subscription.WorkerID = "ann/1"
	bob subscription.WorkerID = "bob/1"

	long  = time.Hour
	short = 100 * time.Millisecond
)

// leaseStand is a sink with a model opened in it, and the leases of its segments.
type leaseStand struct {
	*stand
	leases subscription.Leases
}

func leaseClause(rule string, check func(ctx context.Context, s leaseStand) error) clause[projection.Sink] {
	return sinkClause(rule, func(ctx context.Context, s *stand) error {
		return check(ctx, leaseStand{s, s.Leases(s.model.Generation, source.Store)})
	})
}

// moves commits a change under the checkpoint and returns the next one.
func (s leaseStand) moves(ctx context.Context, from subscription.Checkpoint) (subscription.Checkpoint, error) {
	to := onward(from, 1)
	return to, s.Commit(ctx, s.model, projection.Move{From: from, To: to}, nil)
}

// segments returns the checkpoints, and who holds each.
func (s leaseStand) segments(ctx context.Context) (at []subscription.Checkpoint, holders []subscription.WorkerID, err error) {
	roster, err := s.leases.Roster(ctx)
	for _, segment := range roster.Segments {
		at, holders = append(at, segment.Checkpoint), append(holders, segment.Holder)
	}
	return at, holders, err
}

func (s leaseStand) are(ctx context.Context, want ...subscription.Checkpoint) error {
	at, _, err := s.segments(ctx)
	return first(err, same("segments", at, want))
}

// until waits until something is so. What ends by the clock of a sink is waited for there: it
// may be another clock than ours.
func until(ctx context.Context, leases subscription.Leases, so func(subscription.Roster) bool) error {
	for ctx.Err() == nil {
		roster, err := leases.Roster(ctx)
		if err != nil || so(roster) {
			return err
		}
	}
	return ctx.Err()
}

func isFree(roster subscription.Roster) bool { return roster.Segments[0].Holder == "" }

func (s leaseStand) heldBy(ctx context.Context, want ...subscription.WorkerID) error {
	_, holders, err := s.segments(ctx)
	return first(err, same("holders", holders, want))
}

// shared returns two halves, the low one held by ann and the high one by bob.
func (s leaseStand) shared(ctx context.Context) (low, high subscription.Checkpoint, err error) {
	whole, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
	if err != nil {
		return low, high, err
	}
	if low, high, err = s.leases.Split(ctx, ann, whole, 512); err != nil {
		return low, high, err
	}
	if err := s.leases.Release(ctx, ann, high); err != nil {
		return low, high, err
	}
	high, err = s.leases.Acquire(ctx, bob, high.Segment, long)
	return low, high, err
}

var leaseClauses = []clause[projection.Sink]{
	{"a generation that was never opened has no segments", func(ctx context.Context, sink projection.Sink) error {
		leases := sink.Leases(projection.Generation{Name: "never", Version: 1}, source.Store)
		roster, err := leases.Roster(ctx)
		_, none := leases.Acquire(ctx, ann, subscription.Whole, long)
		return first(err, same("segments", len(roster.Segments), 0), is("acquire", none, subscription.ErrNoSegment))
	}},
	leaseClause("a generation begins with one segment of all keys that nobody holds", func(ctx context.Context, s leaseStand) error {
		return first(s.are(ctx, subscription.Checkpoint{Source: source, Generation: s.model.String(), Segment: subscription.Whole}), s.heldBy(ctx, ""))
	}),
	leaseClause("to acquire raises the fence, and commits under an older one are ErrStale", func(ctx context.Context, s leaseStand) error {
		at, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		_, zombie := s.moves(ctx, s.at)
		to, err := s.moves(ctx, at)
		return first(same("fence", at.Fence, s.at.Fence+1), is("commit under the old fence", zombie, subscription.ErrStale), err, s.are(ctx, to), s.heldBy(ctx, ann))
	}),
	leaseClause("a segment that is held is ErrHeld for others until it is released, and its holder may acquire it again", func(ctx context.Context, s leaseStand) error {
		mine, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		_, held := s.leases.Acquire(ctx, bob, subscription.Whole, long)
		again, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err := first(is("acquire", held, subscription.ErrHeld), err, same("fence", again.Fence, mine.Fence+1)); err != nil {
			return err
		}
		if err := first(s.leases.Release(ctx, ann, mine), s.heldBy(ctx, ann), s.leases.Release(ctx, bob, again), s.heldBy(ctx, ann)); err != nil {
			return err // released under an old fence, or by somebody else
		}
		if err := first(s.leases.Release(ctx, ann, again), s.heldBy(ctx, "")); err != nil {
			return err
		}
		his, err := s.leases.Acquire(ctx, bob, subscription.Whole, long)
		return first(err, same("fence", his.Fence, again.Fence+1), s.heldBy(ctx, bob))
	}),
	leaseClause("what is seized is taken from its holders, who cannot commit any more, and is theirs again when it is released or ends", func(ctx context.Context, s leaseStand) error {
		mine, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		low, high, err := s.leases.Split(ctx, ann, mine, 512)
		if err != nil {
			return err
		}
		seized, err := s.leases.Seize(ctx, bob, long)
		low.Fence++
		high.Fence++
		if err := first(err, same("seized", seized, []subscription.Checkpoint{low, high}), s.are(ctx, low, high), s.heldBy(ctx, bob, bob)); err != nil {
			return err
		}
		zombie := low
		zombie.Fence--
		_, stale := s.moves(ctx, zombie)
		_, held := s.leases.Acquire(ctx, ann, low.Segment, long)
		if err := first(is("commit", stale, subscription.ErrStale), is("acquire", held, subscription.ErrHeld), s.leases.Release(ctx, bob, low), s.heldBy(ctx, "", bob)); err != nil {
			return err
		}
		if _, err := s.leases.Seize(ctx, bob, short); err != nil {
			return err
		}
		if err := until(ctx, s.leases, isFree); err != nil {
			return err
		}
		_, err = s.leases.Acquire(ctx, ann, low.Segment, long)
		_, none := s.Leases(projection.Generation{Name: "never", Version: 1}, source.Store).Seize(ctx, bob, long)
		return first(err, is("seize what was never opened", none, subscription.ErrNoSegment))
	}),
	leaseClause("a lease ends by itself, and cannot be prolonged or released then", func(ctx context.Context, s leaseStand) error {
		mine, err := s.leases.Acquire(ctx, ann, subscription.Whole, short)
		if err != nil {
			return err
		}
		if err := until(ctx, s.leases, isFree); err != nil {
			return err
		}
		report := subscription.Report{Segment: mine.Segment, Fence: mine.Fence, State: subscription.Running}
		roster, err := s.leases.Attend(ctx, ann, long, []subscription.Report{report})
		if err := first(err, same("holder", roster.Segments[0].Holder, subscription.WorkerID(""))); err != nil {
			return err
		}
		his, err := s.leases.Acquire(ctx, bob, subscription.Whole, long)
		if err != nil {
			return err
		}
		_, zombie := s.moves(ctx, mine)
		return first(is("commit of the zombie", zombie, subscription.ErrStale), s.leases.Release(ctx, ann, mine), s.heldBy(ctx, bob), s.are(ctx, his))
	}),
	leaseClause("to attend prolongs the leases that are reported under their fences", func(ctx context.Context, s leaseStand) error {
		mine, err := s.leases.Acquire(ctx, ann, subscription.Whole, 5*short)
		if err != nil {
			return err
		}
		// A lease that is not prolonged ends later than this one would have.
		other := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}
		sand := s.Leases(s.model.Generation, other.Store)
		if err := s.Open(ctx, s.model, other); err != nil {
			return err
		}
		if _, err := sand.Acquire(ctx, ann, subscription.Whole, 5*short); err != nil {
			return err
		}
		report := subscription.Report{Segment: mine.Segment, Fence: mine.Fence, State: subscription.Waiting, Note: "päivää \"x\"", Event: eventstore.Anchor{Position: 3, EventID: eventstore.EventID{7}}, Type: "order.placed", Head: 7, At: time.UnixMicro(1_700_000_000_123_456).UTC()}
		roster, err := s.leases.Attend(ctx, ann, long, []subscription.Report{report})
		if err := first(err, same("report", roster.Segments[0].Report, report)); err != nil {
			return err
		}
		stranger, old := report, report
		stranger.Note = "not mine to tell"
		old.Fence--
		_, err = s.leases.Attend(ctx, bob, long, []subscription.Report{stranger})
		_, oldErr := s.leases.Attend(ctx, ann, long, []subscription.Report{old})
		ended := until(ctx, sand, isFree)
		roster, again := s.leases.Roster(ctx)
		return first(err, oldErr, ended, again, s.heldBy(ctx, ann), same("report", roster.Segments[0].Report, report))
	}),
	leaseClause("the roster has the workers that attend, sorted, and not those that have gone", func(ctx context.Context, s leaseStand) error {
		for worker, ttl := range map[subscription.WorkerID]time.Duration{bob: long, ann: long, "late/1": short} {
			if _, err := s.leases.Attend(ctx, worker, ttl, nil); err != nil {
				return err
			}
		}
		err := until(ctx, s.leases, func(r subscription.Roster) bool { return len(r.Workers) < 3 })
		roster, again := s.leases.Roster(ctx)
		if err := first(err, again, same("workers", roster.Workers, []subscription.WorkerID{ann, bob})); err != nil {
			return err
		}
		roster, err = s.leases.Attend(ctx, ann, 0, nil)
		return first(err, same("workers", roster.Workers, []subscription.WorkerID{bob}))
	}),
	leaseClause("both parts of a split begin where the segment was, under a new fence, and move apart", func(ctx context.Context, s leaseStand) error {
		whole, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		if whole, err = s.moves(ctx, whole); err != nil {
			return err
		}
		low, high, err := s.leases.Split(ctx, ann, whole, 100)
		if err != nil {
			return err
		}
		want := whole
		want.Fence++
		wantHigh := want
		want.Segment, wantHigh.Segment = subscription.Segment{First: 0, End: 100}, subscription.Segment{First: 100, End: eventstore.Slices}
		_, zombie := s.moves(ctx, whole)
		if err := first(same("low", low, want), same("high", high, wantHigh), is("commit to the segment that was", zombie, subscription.ErrStale), s.heldBy(ctx, ann, ann), s.are(ctx, low, high)); err != nil {
			return err
		}
		moved, err := s.moves(ctx, high)
		at, atErr := s.Checkpoint(ctx, s.model.Generation, source.Store)
		return first(err, atErr, s.are(ctx, low, moved), same("checkpoint of the generation", at, low))
	}),
	leaseClause("only the holder splits, and only where both parts have slices", func(ctx context.Context, s leaseStand) error {
		whole, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		old := whole
		old.Fence--
		for what, try := range map[string]func() error{
			"another worker": func() error { _, _, err := s.leases.Split(ctx, bob, whole, 100); return err },
			"an old fence":   func() error { _, _, err := s.leases.Split(ctx, ann, old, 100); return err },
		} {
			if err := is(what, try(), subscription.ErrFenced); err != nil {
				return err
			}
		}
		for _, at := range []eventstore.Slice{0, eventstore.Slices} {
			if _, _, err := s.leases.Split(ctx, ann, whole, at); err == nil {
				return errors.New("a part without slices was made")
			}
		}
		return s.are(ctx, whole)
	}),
	leaseClause("neighbours merge at one checkpoint and under both leases, and not else", func(ctx context.Context, s leaseStand) error {
		whole, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		low, high, err := s.leases.Split(ctx, ann, whole, 512)
		if err != nil {
			return err
		}
		to := onward(low, 3)
		ahead := to
		if err := s.Commit(ctx, s.model, projection.Move{From: low, To: ahead}, nil); err != nil {
			return err
		}
		_, apart := s.leases.Merge(ctx, ann, ahead, high)
		_, crossed := s.leases.Merge(ctx, ann, high, ahead)
		level := high
		level.Anchor = ahead.Anchor
		if err := first(is("merge apart", apart, subscription.ErrStale), s.are(ctx, ahead, high), s.Commit(ctx, s.model, projection.Move{From: high, To: level}, nil)); err != nil {
			return err
		}
		if crossed == nil {
			return errors.New("segments were merged in the wrong order")
		}
		_, fenced := s.leases.Merge(ctx, bob, ahead, level)
		if err := first(is("merge by another worker", fenced, subscription.ErrFenced), s.are(ctx, ahead, level)); err != nil {
			return err
		}
		joined, err := s.leases.Merge(ctx, ann, ahead, level)
		want := ahead
		want.Segment, want.Fence = subscription.Whole, max(ahead.Fence, level.Fence)+1
		_, zombie := s.moves(ctx, ahead)
		return first(err, same("joined", joined, want), is("commit to a part", zombie, subscription.ErrStale), s.are(ctx, joined), s.heldBy(ctx, ann))
	}),
	leaseClause("a segment that was split or merged is ErrNoSegment", func(ctx context.Context, s leaseStand) error {
		whole, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		low, high, err := s.leases.Split(ctx, ann, whole, 512)
		if err != nil {
			return err
		}
		_, gone := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		_, err = s.leases.Merge(ctx, ann, low, high)
		_, part := s.leases.Acquire(ctx, ann, low.Segment, long)
		return first(is("acquire what was split", gone, subscription.ErrNoSegment), err, is("acquire what was merged", part, subscription.ErrNoSegment))
	}),
	leaseClause("a pause takes every segment from its holder under a new fence, and keeps it until it is resumed", func(ctx context.Context, s leaseStand) error {
		low, high, err := s.shared(ctx)
		if err != nil {
			return err
		}
		if err := first(s.leases.Pause(ctx), s.leases.Pause(ctx)); err != nil {
			return err
		}
		_, late := s.moves(ctx, low)
		_, mine := s.leases.Acquire(ctx, ann, low.Segment, long)
		_, his := s.leases.Acquire(ctx, bob, high.Segment, long)
		_, _, split := s.leases.Split(ctx, ann, low, 100)
		report := subscription.Report{Segment: low.Segment, Fence: low.Fence, State: subscription.Running}
		roster, err := s.leases.Attend(ctx, ann, long, []subscription.Report{report})
		if err := first(is("commit", late, subscription.ErrStale), is("acquire", mine, subscription.ErrHeld), is("acquire", his, subscription.ErrHeld),
			is("split", split, subscription.ErrFenced), err, s.leases.Release(ctx, ann, low), s.heldBy(ctx, subscription.OnPause, subscription.OnPause)); err != nil {
			return err
		}
		for _, l := range roster.Segments {
			if err := same("state", l.Report.State, subscription.Paused); err != nil {
				return err
			}
		}
		low.Fence++
		high.Fence++
		if err := first(s.are(ctx, low, high), s.leases.Resume(ctx), s.heldBy(ctx, "", ""), s.leases.Resume(ctx), s.are(ctx, low, high)); err != nil {
			return err
		}
		again, err := s.leases.Acquire(ctx, bob, low.Segment, long)
		low.Fence++
		return first(err, same("acquired", again, low))
	}),
	leaseClause("when a pause has returned nothing moves any more", func(ctx context.Context, s leaseStand) error {
		at, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		begun, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			for n := 0; ; n++ {
				var err error
				if at, err = s.moves(ctx, at); err != nil {
					ended <- err
					return
				}
				if n == 2 {
					close(begun)
				}
			}
		}()
		<-begun
		if err := s.leases.Pause(ctx); err != nil {
			return err
		}
		paused, err := s.Checkpoint(ctx, s.model.Generation, source.Store)
		if err != nil {
			return err
		}
		return first(is("commit", <-ended, subscription.ErrStale), s.stands(ctx, paused))
	}),
	{"a generation that was never opened cannot be paused", func(ctx context.Context, sink projection.Sink) error {
		leases := sink.Leases(projection.Generation{Name: "never", Version: 1}, source.Store)
		return first(is("pause", leases.Pause(ctx), subscription.ErrNoSegment), is("resume", leases.Resume(ctx), subscription.ErrNoSegment))
	}},
	leaseClause("of rivals for a segment exactly one gets it", func(ctx context.Context, s leaseStand) error {
		const rivals = 8
		var wins, others int
		var mu sync.Mutex
		var all sync.WaitGroup
		var odd error
		for n := range rivals {
			all.Go(func() {
				_, err := s.leases.Acquire(ctx, subscription.WorkerID(rune('a'+n)), subscription.Whole, long)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					wins++
				case errors.Is(err, subscription.ErrHeld):
					others++
				default:
					odd = err
				}
			})
		}
		all.Wait()
		return first(odd, same("winners", wins, 1), same("losers", others, rivals-1))
	}),
	leaseClause("the leases of two sources are apart", func(ctx context.Context, s leaseStand) error {
		other := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}
		if err := s.Open(ctx, s.model, other); err != nil {
			return err
		}
		whole, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		_, _, err = s.leases.Split(ctx, ann, whole, 512)
		roster, rosterErr := s.Leases(s.model.Generation, other.Store).Roster(ctx)
		return first(err, rosterErr, same("segments", len(roster.Segments), 1), same("holder", roster.Segments[0].Holder, subscription.WorkerID("")))
	}),
}
