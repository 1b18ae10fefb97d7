package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// version returns a stand of another version of the model, opened for the source.
func (s *stand) version(ctx context.Context, version int) (*stand, error) {
	other := &stand{Sink: s.Sink, model: s.model}
	other.model.Version, other.model.Hash = version, fmt.Sprintf("version %d", version)
	if err := s.Open(ctx, other.model, source); err != nil {
		return nil, fmt.Errorf("open version %d: %w", version, err)
	}
	var err error
	other.at, err = s.Checkpoint(ctx, other.model.Generation, source.Store)
	return other, err
}

// goes moves the checkpoint to a position.
func (s *stand) goes(ctx context.Context, to eventstore.Position, changes ...projection.Change) error {
	next := onward(s.at, to-s.at.Position())
	err := s.Commit(ctx, s.model, projection.Move{From: s.at, To: next}, changes)
	if err == nil {
		s.at = next
	}
	return err
}

func (s *stand) promote(ctx context.Context) error {
	return first(s.Index(ctx, s.model), s.Promote(ctx, s.model.Generation))
}

// are compares the stages of all versions, the first one's first.
func (s *stand) are(ctx context.Context, want ...projection.Stage) error {
	builds, err := s.Builds(ctx, s.model.Name)
	var got []projection.Stage
	for _, b := range builds {
		got = append(got, b.Stage)
	}
	return first(err, same("stages", got, want))
}

func isBehind(what string, err error, at, want eventstore.Position) error {
	behind, ok := errors.AsType[*projection.BehindError](err)
	if !ok {
		return fmt.Errorf("%s: got error %v, want a BehindError", what, err)
	}
	return same(what, []eventstore.Position{behind.At, behind.Want}, []eventstore.Position{at, want})
}

// generationClause has two versions of everyKind open, the first of them live and at position 5.
func generationClause(rule string, check func(ctx context.Context, one, two *stand) error) clause[projection.Sink] {
	return sinkClause(rule, func(ctx context.Context, one *stand) error {
		two, err := one.version(ctx, 2)
		if err := first(err, one.goes(ctx, 5, put(plainRow("a", 1, "one"))...)); err != nil {
			return err
		}
		return check(ctx, one, two)
	})
}

var generationClauses = []clause[projection.Sink]{
	{"a name that was never opened has no generations, and cannot be promoted, reset or listed", func(ctx context.Context, sink projection.Sink) error {
		builds, err := sink.Builds(ctx, everyKind.Name)
		return first(err, same("builds", len(builds), 0),
			is("promote", sink.Promote(ctx, everyKind.Generation), projection.ErrNotBuilt),
			is("reset", sink.Reset(ctx, everyKind.Generation, source), projection.ErrNotBuilt),
			sink.Retire(ctx, everyKind.Generation))
	}},
	generationClause("a sink that lists what it has names each once and sorted, however many generations there are", func(ctx context.Context, one, _ *stand) error {
		sink, lists := one.Sink.(projection.Lister)
		if !lists {
			return nil
		}
		earlier := one.model
		earlier.Name = "a_" + earlier.Name
		if err := one.Open(ctx, earlier, source); err != nil {
			return err
		}
		names, err := sink.Names(ctx)
		return first(err, same("names", names, []string{earlier.Name, one.model.Name}))
	}),
	generationClause("the first generation of a name is live, later ones are being built, and each tells its checkpoints", func(ctx context.Context, one, two *stand) error {
		other, err := one.version(ctx, 3)
		if err != nil {
			return err
		}
		builds, err := one.Builds(ctx, one.model.Name)
		return first(err, other.stays(ctx), same("builds", builds, []projection.Build{
			{Generation: one.model.Generation, Stage: projection.Live, Checkpoints: []subscription.Checkpoint{one.at}},
			{Generation: two.model.Generation, Stage: projection.Building, Checkpoints: []subscription.Checkpoint{two.at}},
			{Generation: other.model.Generation, Stage: projection.Building, Checkpoints: []subscription.Checkpoint{other.at}},
		}))
	}),
	generationClause("a generation that is behind is not promoted, and one that is not is", func(ctx context.Context, one, two *stand) error {
		return first(
			two.goes(ctx, 4), isBehind("promote", two.promote(ctx), 4, 5), one.are(ctx, projection.Live, projection.Building),
			two.goes(ctx, 5), two.promote(ctx), one.are(ctx, projection.Kept, projection.Live),
			two.promote(ctx), one.are(ctx, projection.Kept, projection.Live),
			one.stays(ctx), two.stays(ctx), one.goes(ctx, 7), two.goes(ctx, 6), one.has(ctx, plainRow("a", 1, "one")))
	}),
	generationClause("what was live can be live again, when it is not behind", func(ctx context.Context, one, two *stand) error {
		return first(
			two.goes(ctx, 6), two.promote(ctx), isBehind("promote", one.promote(ctx), 5, 6),
			one.goes(ctx, 7), one.promote(ctx), one.are(ctx, projection.Live, projection.Kept),
			two.goes(ctx, 8), two.promote(ctx), one.are(ctx, projection.Kept, projection.Live))
	}),
	generationClause("every segment of a promoted generation is as far as the furthest one of the live", func(ctx context.Context, one, two *stand) error {
		old, err := one.split(ctx)
		if err != nil {
			return err
		}
		young, err := two.split(ctx)
		if err := first(err, old[1].goes(ctx, 9), young[0].goes(ctx, 9), young[1].goes(ctx, 8)); err != nil {
			return err
		}
		return first(
			isBehind("promote", two.promote(ctx), 8, 9), young[1].goes(ctx, 10), two.promote(ctx),
			isBehind("promote", one.promote(ctx), 5, 10), one.are(ctx, projection.Kept, projection.Live))
	}),
	generationClause("a promoted generation follows all sources of the live one", func(ctx context.Context, one, two *stand) error {
		other := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}
		return first(
			two.goes(ctx, 5), one.Open(ctx, one.model, other), isBehind("promote", two.promote(ctx), 0, 0),
			two.Open(ctx, two.model, other), two.promote(ctx), one.are(ctx, projection.Kept, projection.Live))
	}),
	generationClause("an older generation is neither opened nor promoted, unless it was live", func(ctx context.Context, one, two *stand) error {
		three, err := one.version(ctx, 3)
		if err := first(err, three.goes(ctx, 9), three.promote(ctx), two.goes(ctx, 9)); err != nil {
			return err
		}
		return first(
			is("promote", two.promote(ctx), projection.ErrOutdated), one.are(ctx, projection.Kept, projection.Building, projection.Live),
			two.Retire(ctx, two.model.Generation), one.Retire(ctx, one.model.Generation),
			is("open", one.Open(ctx, one.model, source), projection.ErrOutdated), one.are(ctx, projection.Live))
	}),
	generationClause("nobody moves the live generation past one that is promoted in that moment", func(ctx context.Context, one, _ *stand) error {
		live := one
		for version := 3; version < 8; version++ {
			next, err := one.version(ctx, version)
			if err != nil {
				return err
			}
			if err := live.handOver(ctx, next); err != nil {
				return err
			}
			live = next
		}
		return nil
	}),
	generationClause("of rivals that are promoted at one time one is live, and never an older one at last", func(ctx context.Context, one, two *stand) error {
		stands := []*stand{two}
		for version := 3; version < 10; version++ {
			next, err := one.version(ctx, version)
			if err != nil {
				return err
			}
			stands = append(stands, next)
		}
		errs := make([]error, len(stands))
		var racing sync.WaitGroup
		for n, s := range stands {
			racing.Go(func() {
				errs[n] = first(s.goes(ctx, 5), s.promote(ctx))
				if errors.Is(errs[n], projection.ErrOutdated) {
					errs[n] = nil
				}
			})
		}
		racing.Wait()
		builds, err := one.Builds(ctx, one.model.Name)
		lives := 0
		for _, b := range builds {
			if b.Stage == projection.Live {
				lives++
			}
		}
		return first(errors.Join(errs...), err, same("live ones", lives, 1), same("the newest", builds[len(builds)-1].Stage, projection.Live))
	}),
	generationClause("indexes can be made while a generation is built, and made again", func(ctx context.Context, one, two *stand) error {
		a, b := plainRow("a", 2, "x"), plainRow("b", 1, "y")
		if err := first(two.goes(ctx, 1, put(a, b)...), two.Index(ctx, two.model), two.Index(ctx, two.model)); err != nil {
			return err
		}
		c := plainRow("c", 0, "z")
		if err := two.goes(ctx, 5, put(c)...); err != nil {
			return err
		}
		got, err := two.List(ctx, two.model, projection.ListQuery{By: "a_int", Limit: 10})
		return first(err, same("rows", got, []projection.Row{c, b, a}), two.promote(ctx), one.Index(ctx, one.model))
	}),
	generationClause("the live generation, and one that is attended, are not retired", func(ctx context.Context, one, two *stand) error {
		leases := two.Leases(two.model.Generation, source.Store)
		if _, err := leases.Attend(ctx, ann, long, nil); err != nil {
			return err
		}
		if err := first(
			is("retire the live one", one.Retire(ctx, one.model.Generation), projection.ErrLive),
			is("retire the attended one", two.Retire(ctx, two.model.Generation), projection.ErrAttended),
			one.are(ctx, projection.Live, projection.Building), one.stays(ctx), two.stays(ctx)); err != nil {
			return err
		}
		_, err := leases.Attend(ctx, ann, 0, nil)
		return first(err, two.Retire(ctx, two.model.Generation), one.are(ctx, projection.Live))
	}),
	generationClause("of a retired generation nothing is left, and its neighbour is as it was", func(ctx context.Context, one, two *stand) error {
		if err := first(two.goes(ctx, 5, put(plainRow("b", 2, "two"))...), two.park(ctx, []projection.Parked{parkedKey("p")}, nil)); err != nil {
			return err
		}
		late := two.at
		if err := first(two.Retire(ctx, two.model.Generation), two.Retire(ctx, two.model.Generation)); err != nil {
			return err
		}
		_, err := two.Load(ctx, two.model, []string{"b"})
		roster, rosterErr := two.Leases(two.model.Generation, source.Store).Roster(ctx)
		if err := first(is("load", err, projection.ErrNotBuilt), rosterErr, same("segments", len(roster.Segments), 0), two.parks(ctx),
			one.are(ctx, projection.Live), one.stays(ctx), one.has(ctx, plainRow("a", 1, "one"))); err != nil {
			return err
		}
		if err := two.Commit(ctx, two.model, projection.Move{From: late, To: onward(late, 1)}, put(plainRow("b", 3, "zombie"))); err == nil {
			return errors.New("a commit to a retired generation was taken")
		}
		two, err = one.version(ctx, 2)
		return first(err, same("position", two.at.Position(), eventstore.Position(0)), two.has(ctx), two.parks(ctx))
	}),
	generationClause("a reset takes rows and parked keys, and puts all segments at position 0 under fences that nobody holds", func(ctx context.Context, one, two *stand) error {
		other := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 4}
		if err := first(one.park(ctx, []projection.Parked{parkedKey("p")}, nil), one.Open(ctx, one.model, other), two.goes(ctx, 3, put(plainRow("b", 2, "two"))...)); err != nil {
			return err
		}
		parts, err := one.split(ctx)
		if err != nil {
			return err
		}
		reborn := source
		reborn.Incarnation = 2
		if err := one.Reset(ctx, one.model.Generation, reborn); err != nil {
			return err
		}
		leases := one.Leases(one.model.Generation, source.Store)
		roster, err := leases.Roster(ctx)
		if err := first(err, same("segments", len(roster.Segments), 2)); err != nil {
			return err
		}
		for n, l := range roster.Segments {
			want := subscription.Checkpoint{Source: reborn, Generation: one.model.String(), Segment: parts[n].at.Segment, Fence: parts[n].at.Fence + 1, Parks: parts[n].at.Parks + 1}
			err := one.Commit(ctx, one.model, projection.Move{From: parts[n].at, To: onward(parts[n].at, 1)}, put(plainRow("a", 9, "zombie")))
			if err := first(same("segment", l.Checkpoint, want), same("holder", l.Holder, subscription.WorkerID("")), is("commit", err, subscription.ErrStale)); err != nil {
				return err
			}
		}
		second, err := one.Checkpoint(ctx, one.model.Generation, other.Store)
		_, acquired := leases.Acquire(ctx, bob, roster.Segments[0].Segment, long)
		return first(err, acquired, same("the other source", second, subscription.Checkpoint{Source: other, Generation: one.model.String(), Segment: subscription.Whole, Fence: 1, Parks: 1}),
			one.has(ctx), one.parks(ctx), one.are(ctx, projection.Live, projection.Building), two.stays(ctx), two.has(ctx, plainRow("b", 2, "two")))
	}),
	generationClause("a pause outlives a reset, and a moment in which the segments are held", func(ctx context.Context, one, _ *stand) error {
		leases := one.Leases(one.model.Generation, source.Store)
		paused := leaseStand{one, leases}
		if err := leases.Pause(ctx); err != nil {
			return err
		}
		held, err := leases.Seize(ctx, ann, long)
		if err := first(err, paused.heldBy(ctx, subscription.OnPause)); err != nil {
			return err
		}
		for _, at := range held {
			if err := leases.Release(ctx, ann, at); err != nil {
				return err
			}
		}
		return first(paused.heldBy(ctx, subscription.OnPause), one.Reset(ctx, one.model.Generation, source), paused.heldBy(ctx, subscription.OnPause))
	}),
	generationClause("rows and checkpoint are of one moment, however often it is reset meanwhile", func(ctx context.Context, one, _ *stand) error {
		return one.resets(ctx)
	}),
}

// split divides the one segment in two and holds both.
func (s *stand) split(ctx context.Context) ([]*stand, error) {
	leases := s.Leases(s.model.Generation, source.Store)
	whole, err := leases.Acquire(ctx, ann, subscription.Whole, long)
	if err != nil {
		return nil, err
	}
	low, high, err := leases.Split(ctx, ann, whole, 512)
	return []*stand{{s.Sink, s.model, low}, {s.Sink, s.model, high}}, err
}

// handOver moves the live generation as fast as it goes, and promotes the next one meanwhile.
// Whenever it is seen to be live after a commit, the next one must not become so at an older
// position.
func (s *stand) handOver(ctx context.Context, next *stand) error {
	ended := make(chan error, 1)
	moving, stop := context.WithCancel(ctx)
	defer stop()
	if err := next.Index(ctx, next.model); err != nil {
		return err
	}
	var seen eventstore.Position
	go func() {
		ended <- func() error {
			for moving.Err() == nil {
				if err := s.goes(ctx, s.at.Position()+1); err != nil {
					return err
				}
				builds, err := s.Builds(ctx, s.model.Name)
				if err != nil {
					return err
				}
				live, _ := projection.LiveBuild(builds)
				if live.Generation != s.model.Generation {
					return nil
				}
				seen = s.at.Position()
			}
			return nil
		}()
	}()
	for tries := eventstore.Position(0); ; tries++ {
		at, err := s.Checkpoint(ctx, s.model.Generation, source.Store)
		ahead := tries / 10 // where the live one is always faster, it need not be met
		if err = first(err, next.goes(ctx, max(at.Position()+ahead, next.at.Position()+1))); err == nil {
			err = next.Promote(ctx, next.model.Generation)
		}
		if _, behind := errors.AsType[*projection.BehindError](err); behind {
			continue
		}
		if err != nil {
			stop()
		}
		if err := first(err, <-ended); err != nil {
			return err
		}
		break
	}
	if next.at.Position() < seen {
		return fmt.Errorf("%s was promoted at position %d, after %s had been seen at %d", next.model, next.at.Position(), s.model, seen)
	}
	return nil
}

// resets commits a row at each position, and is reset meanwhile.
func (s *stand) resets(ctx context.Context) error {
	const times = 20
	if err := s.Reset(ctx, s.model.Generation, source); err != nil {
		return err
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- func() error {
			for {
				at, err := s.Checkpoint(ctx, s.model.Generation, source.Store)
				if err != nil {
					return err
				}
				to := onward(at, 1)
				// By the fence too: a row that outlives its reset is one too many.
				row := plainRow(fmt.Sprintf("%d/%d", at.Fence, to.Position()), int64(to.Position()), "x")
				err = s.Commit(ctx, s.model, projection.Move{From: at, To: to}, put(row))
				if err != nil && !errors.Is(err, subscription.ErrStale) {
					return err
				}
				select {
				case <-stop:
					return nil
				default:
				}
			}
		}()
	}()
	for range times {
		if err := until(ctx, s.Leases(s.model.Generation, source.Store), func(r subscription.Roster) bool { return r.Lowest().Position() > 2 }); err != nil {
			return err
		}
		if err := s.Reset(ctx, s.model.Generation, source); err != nil {
			return err
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		return err
	}
	at, err := s.Checkpoint(ctx, s.model.Generation, source.Store)
	if err != nil {
		return err
	}
	rows, err := s.List(ctx, s.model, projection.ListQuery{Limit: 100_000})
	return first(err, same("rows at the position", len(rows), int(at.Position())))
}
