package projectiontest

import (
	"context"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

func parkedKey(key string) projection.Parked {
	return projection.Parked{
		Key: key, Event: eventstore.Anchor{Position: 7, EventID: eventstore.NewEventID()}, Type: "order.placed",
		Cause: "it's a \"päivää\"\nwith a line break", At: time.UnixMicro(1_700_000_000_123_456).UTC(),
	}
}

func (s *stand) parks(ctx context.Context, want ...projection.Parked) error {
	got, err := s.Parked(ctx, s.model.Generation, source.Store)
	if len(got) == 0 && len(want) == 0 {
		return err
	}
	return first(err, same("parked", got, want))
}

// park moves on, with keys to park and to take up again.
func (s *stand) park(ctx context.Context, park []projection.Parked, unpark []string) error {
	to := onward(s.at, 1)
	to.Parks++
	err := s.Commit(ctx, s.model, projection.Move{From: s.at, To: to, Park: park, Unpark: unpark}, nil)
	if err == nil {
		s.at = to
	}
	return err
}

var parkedClauses = []clause[projection.Sink]{
	sinkClause("a commit parks keys and takes them up again", func(ctx context.Context, s *stand) error {
		a, b := parkedKey("a"), parkedKey("b\u00e9 \x01'")
		if err := first(s.parks(ctx), s.park(ctx, []projection.Parked{b, a}, nil), s.parks(ctx, a, b), s.stays(ctx)); err != nil {
			return err
		}
		again := parkedKey("a")
		return first(s.park(ctx, []projection.Parked{again}, []string{b.Key, "never parked"}), s.parks(ctx, again), s.stays(ctx))
	}),
	sinkClause("a key is taken up again without a move of the position", func(ctx context.Context, s *stand) error {
		if err := s.park(ctx, []projection.Parked{parkedKey("a")}, nil); err != nil {
			return err
		}
		to := s.at
		to.Parks++
		row := plainRow("a", 1, "one")
		return first(s.Commit(ctx, s.model, projection.Move{From: s.at, To: to, Unpark: []string{"a"}}, put(row)), s.parks(ctx), s.has(ctx, row), s.stands(ctx, to))
	}),
	sinkClause("a commit with an older list of parked keys in mind is ErrStale and changes nothing", func(ctx context.Context, s *stand) error {
		old := s.at
		a := parkedKey("a")
		if err := s.park(ctx, []projection.Parked{a}, nil); err != nil {
			return err
		}
		from := s.at
		from.Parks = old.Parks
		err := s.Commit(ctx, s.model, projection.Move{From: from, To: onward(from, 1)}, put(plainRow("a", 1, "one")))
		return first(is("commit", err, subscription.ErrStale), s.stays(ctx), s.has(ctx), s.parks(ctx, a))
	}),
	sinkClause("what is parked is apart for each generation and source", func(ctx context.Context, s *stand) error {
		other := eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}
		if err := first(s.Open(ctx, s.model, other), s.park(ctx, []projection.Parked{parkedKey("a")}, nil)); err != nil {
			return err
		}
		got, err := s.Parked(ctx, s.model.Generation, other.Store)
		if err := first(err, same("parked of the other source", len(got), 0)); err != nil {
			return err
		}
		got, err = s.Parked(ctx, projection.Generation{Name: s.model.Name, Version: 9}, source.Store)
		return first(err, same("parked of a generation that was never opened", len(got), 0))
	}),
	leaseClause("both parts of a split keep the count of parks, and what is parked stays", func(ctx context.Context, s leaseStand) error {
		a := parkedKey("a")
		if err := s.park(ctx, []projection.Parked{a}, nil); err != nil {
			return err
		}
		whole, err := s.leases.Acquire(ctx, ann, subscription.Whole, long)
		if err != nil {
			return err
		}
		low, high, err := s.leases.Split(ctx, ann, whole, 512)
		return first(err, same("parks", []int64{low.Parks, high.Parks}, []int64{1, 1}), s.parks(ctx, a))
	}),
}
